"""Pooled logistic model with thresholds and interactions, in which few effects are large.

One model for all actions, with blocks for any treatment, each offer, each channel and each pair, times every fact, its
steps and the products of the facts that matter most. The blocks share strength, and each learns how large its effects
are; see `sparse`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from decision.bundle.models import ShapedOdds
from decision.policies.action_features import ActionFeatures
from decision.records import FloatArray, IntArray
from experiments.learners.base import Export, Fitted, Rows, Uncertainty, enough
from experiments.learners.basis import Basis
from experiments.learners.sparse import ROUNDS, Blocks, fit_sparse

MOST_STEPS = 7
# Prior scales in log-odds per standard deviation of a fact, and per step; the 1's are normal and fixed: what a
# treatment does on average must not be shrunk to nothing with the many effects that are nothing.
AVERAGE = {"base": 10.0, "treated": 1.0, "offer": 0.5, "channel": 0.3, "pair": 0.15}
BY_FACT = {"base": 0.15, "treated": 0.07, "offer": 0.07, "channel": 0.05}
BY_STEP = {"base": 0.05, "treated": 0.04, "offer": 0.04, "channel": 0.03}
BY_PRODUCT = {"base": 0.01, "treated": 0.0075, "offer": 0.0075, "channel": 0.005}
# Facts whose products are tried: those with the largest effects by themselves, so that columns don't explode.
MOST_FACTS = 12
GLANCE = 3


class PooledSparse:
    """Strength shared between actions; a few large effects of context, with thresholds."""

    name = "pooled_sparse"
    complexity = 2

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted model. Raises `NotEnoughData` below ten of either outcome."""
        enough(rows)
        simple = _fit(rows, Basis.of_contexts(rows.x, steps=MOST_STEPS), rounds=GLANCE)
        return _fit(rows, simple.basis.with_products(rows.x, simple.strongest(MOST_FACTS)), rounds=ROUNDS)


@dataclass(frozen=True, slots=True)
class SparseFit:
    """Weights [B, F] on the columns of a basis, with their covariance; see `sparse.Blocks`."""

    basis: Basis
    blocks: Blocks
    weights: FloatArray
    covariance: FloatArray

    @property
    def served(self) -> ShapedOdds:
        """Return the model as it is served."""
        return ShapedOdds(self.basis.shapes, self.basis.uncentred(self.blocks.codes @ self.weights))

    def strongest(self, most: int) -> IntArray:
        """Return the facts with the largest effects, steps included, at most `most` of them."""
        shapes = self.basis.shapes
        size = np.abs(self.weights).sum(axis=0)
        d = len(shapes.centre)
        effect = size[1 : 1 + d] + np.bincount(shapes.of, weights=size[1 + d : 1 + d + len(shapes.of)], minlength=d)
        return np.sort(np.argsort(-effect, kind="stable")[:most])

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return odds, shape [n, K]; the same rule in and out of sample."""
        del in_sample
        return self.served.predict(x)

    def deviation(self, x: FloatArray) -> FloatArray:
        """Return the standard deviation of the log-odds, shape [n, K], by Laplace's method."""
        return self.uncertainty(x).deviation

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return the standard deviations and what each action's log-odds share with control's."""
        columns = self.basis.columns(x)
        here = self.blocks.scale > 0.0
        own, shared = (np.empty((len(x), len(self.blocks.codes))) for _ in range(2))
        mixes = [
            (code[:, None, None] * np.eye(columns.shape[1])).reshape(here.size, -1)[here.ravel()]
            for code in self.blocks.codes
        ]
        control = mixes[0].T @ self.covariance
        for k, mix in enumerate(mixes):
            own[:, k] = ((columns @ (mix.T @ self.covariance @ mix)) * columns).sum(axis=1)
            shared[:, k] = ((columns @ (control @ mix)) * columns).sum(axis=1)
        return Uncertainty(np.sqrt(np.maximum(own, 0.0)), shared)

    def export(self) -> Export:
        """Return the coefficients and the shapes of their columns."""
        return Export("shaped", shaped_arrays(self.served))


def shaped_arrays(served: ShapedOdds) -> dict[str, np.ndarray]:
    """Return a shaped model's arrays under the names that a bundle uses."""
    return {"coefficients": served.coefficients, **asdict(served.shapes)}


def _fit(rows: Rows, basis: Basis, *, rounds: int) -> SparseFit:
    blocks = blocks_of(rows.features, basis)
    weights, covariance = fit_sparse(basis.columns(rows.x), rows.action, rows.outcome, blocks, rounds=rounds)
    return SparseFit(basis, blocks, weights, covariance)


def blocks_of(features: ActionFeatures, basis: Basis) -> Blocks:
    """Return the blocks of actions x columns; offers or channels of which there is one say nothing new."""
    treated = features.offers.any(axis=1, keepdims=True).astype(float)
    parts = {"base": np.ones_like(treated), "treated": treated}
    parts |= {"offer": features.offers} if features.offers.shape[1] > 1 else {}
    parts |= {"channel": features.channels} if features.channels.shape[1] > 1 else {}
    parts |= {"pair": features.pairs} if {"offer", "channel"} <= parts.keys() else {}
    names = [name for name, part in parts.items() for _ in range(part.shape[1])]
    scales = [
        [AVERAGE[name], BY_FACT.get(name, 0.0), BY_STEP.get(name, 0.0), BY_PRODUCT.get(name, 0.0)] for name in names
    ]
    scale = np.array(scales)[:, basis.kinds]
    numbers = {name: 3 * i for i, name in enumerate(parts)}
    group = np.array([[-1, *range(numbers[name], numbers[name] + 3)] for name in names])[:, basis.kinds]
    return Blocks(np.hstack(list(parts.values())), scale, group)
