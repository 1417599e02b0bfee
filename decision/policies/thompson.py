"""Thompson sampling on the odds of a repurchase, priced by the valuation.

The distribution is computed first: with M common draws of the belief, an action's probability is the share of
draws in which its value is highest. What is sampled and logged is exactly that share (plus the floor), so the
propensity holds no approximation error with respect to the policy that acted. Thompson (1933).
"""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit
from decision.policies.base import Situation
from decision.policies.posterior import Posterior, sigmoid
from decision.records import FloatArray

# Outcomes per weight after which exploration is down to its least.
SETTLED = 40


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
        super().__init__(features, posterior, width=max(exploration, 1.0 - posterior.n / (SETTLED * features.size)))
        self._normals = np.random.default_rng(seed).standard_normal((draws, len(features.offers)))

    def distribution(self, situation: Situation) -> FloatArray:
        """Return the share of draws in which each allowed action has the highest value, shape [K]."""
        outlook = situation.foreseen()
        # In the order of the catalogue, so that the order of the programme changes nothing.
        order = np.argsort(outlook.index)
        known = outlook.index[order]
        spread = self._spread(outlook)[known]
        covariance = spread @ spread.T
        # Two actions that differ in nothing the bandit sees would make the root fail by rounding.
        covariance.flat[:: len(known) + 1] += 1e-9 * max(1.0, float(covariance.max()))
        noise = self._normals[:, known] @ np.linalg.cholesky(covariance).T
        draws = self._centre(outlook) + noise[:, np.argsort(order)]
        wins = np.bincount(outlook.worth.value(sigmoid(draws)).argmax(axis=1), minlength=len(known))
        return wins / len(draws)
