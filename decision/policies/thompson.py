"""Thompson sampling on the odds of a repurchase, priced by the valuation.

The distribution is computed first: with M common draws of the belief, an action's probability is the share of
draws in which its value is highest. What is sampled and logged is exactly that share (plus the floor), so the
propensity holds no approximation error with respect to the policy that acted. Thompson (1933).

The belief is computed in double precision. Its draws are worked out in single: an order of magnitude faster, and no
finer than that is needed to say which of them is worth most.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit
from decision.policies.base import Situation
from decision.policies.posterior import Posterior, logit
from decision.records import FloatArray

# Outcomes per weight after which exploration is down to its least.
SETTLED = 40
# Beyond such log-odds the exponential leaves the range of single precision.
CERTAIN = 80.0
_ONE = np.ones(1)


class Thompson(Bandit):
    """Each action as often as the belief holds it to be the best."""

    def __init__(
        self, features: ActionFeatures, posterior: Posterior, *, draws: int, exploration: float, seed: int
    ) -> None:
        """`draws` is M; `seed` fixes the common random numbers, so that a logged decision can be replayed.

        The belief's standard deviations are taken in full at first, then less and less, down to the share
        `exploration` of them after 40 outcomes per weight: what is left to learn then pays too late (Chapelle and Li
        2011).
        """
        width = max(exploration, 1.0 - posterior.n / (SETTLED * features.size))
        super().__init__(features, posterior)
        # The precision's triangular root turns into one of the covariance without inverting twice.
        root = width * np.linalg.inv(np.linalg.cholesky(posterior.precision))
        normals = np.random.default_rng(seed).standard_normal((draws, features.size))
        # The same draws of the weights for everybody, negative as the logistic wants its log-odds.
        weights = -(posterior.mean + normals @ root)
        # Designs are linear in z = (1, x) and sums of few parts: what is left to do at a decision is one product of z
        # with what the draws make of it in each part, [1 + D, G x M], and one that adds up an action's parts.
        members, places, own = features.parts()
        self._of_parts = np.moveaxis(weights[:, places], 0, -1).reshape(len(places), -1).astype(np.float32)
        self._of_actions = (own @ weights.T).astype(np.float32)
        self._members = members.astype(np.float32)

    def distribution(self, situation: Situation) -> FloatArray:
        """Return the share of draws in which each allowed action has the highest value, shape [K]."""
        outlook = situation.foreseen()
        z = np.concatenate((_ONE, outlook.features)).astype(np.float32)
        parts = (z @ self._of_parts).reshape(self._members.shape[1], -1)
        # value = fixed + per_repurchase / (1 + exp(-log-odds)), shape [K, M], in place: memory is what takes time.
        values = self._members.take(outlook.index, axis=0) @ parts
        values += self._of_actions.take(outlook.index, axis=0)
        values -= _column(logit(outlook.components.repurchase))
        np.minimum(values, CERTAIN, out=values)
        np.exp(values, out=values)
        values += 1.0
        np.divide(_column(outlook.worth.per_repurchase), values, out=values)
        values += _column(outlook.worth.fixed)
        return np.asarray(np.bincount(values.argmax(axis=0), minlength=len(values)) / values.shape[1])


def _column(values: FloatArray) -> Any:
    return values.astype(np.float32)[:, None]
