"""Thompson sampling on the odds of a repurchase, priced by the valuation.

The distribution is computed first: with M common draws of the belief, an action's probability is the share of
draws in which its value is highest. What is sampled and logged is exactly that share (plus the floor), so the
propensity holds no approximation error with respect to the policy that acted. Thompson (1933).
"""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.policies.base import Outlook, Policy, Situation
from decision.policies.posterior import Posterior, logit, sigmoid
from decision.records import FloatArray

# Outcomes per weight after which exploration is down to its least.
SETTLED = 40


class Thompson(Policy):
    """Prior mean from the uplift model, residual from the posterior."""

    def __init__(
        self, features: ActionFeatures, posterior: Posterior, *, draws: int, exploration: float, seed: int
    ) -> None:
        """`draws` is M; `seed` fixes the common random numbers, so that a logged decision can be replayed.

        The belief's standard deviations are taken in full at first, then less and less, down to the share
        `exploration` of them after 40 outcomes per weight: what is left to learn then pays too late (Chapelle and Li
        2011).
        """
        self.features = features
        self.posterior = posterior
        actions = len(features.offers)
        # The precision's triangular root turns into one of the covariance without inverting twice.
        width = max(exploration, 1.0 - posterior.n / (SETTLED * features.size))
        root = width * np.linalg.inv(np.linalg.cholesky(posterior.precision)).T
        # Features are linear in z = (1, x), so both products are made once, for every action: [1 + D, K (x P)].
        lift = _lift(features)
        self._means = lift @ posterior.mean
        self._roots = np.ascontiguousarray((lift @ root).reshape(len(lift), -1))
        self._normals = np.random.default_rng(seed).standard_normal((draws, actions))

    def repurchase(self, outlook: Outlook) -> FloatArray:
        """Return the mean odds of a repurchase, shape [K]: the uplift model's, corrected by what was learned."""
        return sigmoid(self._centre(outlook))

    def distribution(self, situation: Situation) -> FloatArray:
        """Return the share of draws in which each allowed action has the highest value, shape [K]."""
        outlook = situation.foreseen()
        # In the order of the catalogue, so that the order of the programme changes nothing.
        order = np.argsort(outlook.index)
        known = outlook.index[order]
        spread = (_with_one(outlook.features) @ self._roots).reshape(self._normals.shape[1], -1)[known]
        covariance = spread @ spread.T
        # Two actions that differ in nothing the bandit sees would make the root fail by rounding.
        covariance.flat[:: len(known) + 1] += 1e-9 * max(1.0, float(covariance.max()))
        noise = self._normals[:, known] @ np.linalg.cholesky(covariance).T
        draws = self._centre(outlook) + noise[:, np.argsort(order)]
        wins = np.bincount(outlook.worth.value(sigmoid(draws)).argmax(axis=1), minlength=len(known))
        return wins / len(draws)

    def _centre(self, outlook: Outlook) -> FloatArray:
        residual = (_with_one(outlook.features) @ self._means)[outlook.index]
        return logit(outlook.components.repurchase) + residual


def _with_one(x: FloatArray) -> FloatArray:
    return np.concatenate(([1.0], x))


def _lift(features: ActionFeatures) -> FloatArray:
    """Return the array [1 + D, K, P] that turns (1, x) into the design of every action."""
    every = np.arange(len(features.offers))
    base = features.design(every, np.zeros(features.width))
    return np.stack([base, *(features.design(every, unit) - base for unit in np.eye(features.width))])
