"""Thompson sampling on the odds of a repurchase, priced by the valuation.

The distribution is computed first: with M common draws of the belief, an action's probability is the share of
draws in which its value is highest. What is sampled and logged is exactly that share (plus the floor), so the
propensity holds no approximation error with respect to the policy that acted. Thompson (1933).

The belief is computed in double precision. Its draws are worked out in single: an order of magnitude faster, and no
finer than that is needed to say which of them is worth most.
"""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit
from decision.policies.base import Situation
from decision.policies.posterior import Posterior
from decision.records import FloatArray

# Outcomes per weight after which exploration is down to its least.
SETTLED = 40
# Beyond such log-odds the exponential leaves the range of single precision.
CERTAIN = 80.0
# What is added to variances, and as a share of the largest.
LEAST_VARIANCE, ROUNDING = 1e-9, 1e-9


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
        super().__init__(features, posterior, width=width)
        normals = np.random.default_rng(seed).standard_normal((draws, len(features.offers)))
        # A normal and its negative are drawn alike: what is subtracted from the mean need not be turned round.
        self._normals = normals.astype(np.float32)

    def distribution(self, situation: Situation) -> FloatArray:
        """Return the share of draws in which each allowed action has the highest value, shape [K]."""
        outlook = situation.foreseen()
        covariance = self._covariance(outlook)
        # Two actions that differ in nothing the bandit sees would make the root fail by rounding.
        covariance.flat[:: len(covariance) + 1] += LEAST_VARIANCE + ROUNDING * float(covariance.max())
        # The root of the whole catalogue: what else is allowed changes nothing of an action's draws.
        root = np.linalg.cholesky(covariance).astype(np.float32)[outlook.index]
        # value = fixed + per_repurchase / (1 + exp(-log-odds)), in place: memory is what takes time.
        draws = self._normals @ root.T
        draws -= self._centre(outlook).astype(np.float32)
        np.minimum(draws, CERTAIN, out=draws)
        np.exp(draws, out=draws)
        draws += 1.0
        np.divide(outlook.worth.per_repurchase.astype(np.float32), draws, out=draws)
        draws += outlook.worth.fixed.astype(np.float32)
        return np.bincount(draws.argmax(axis=1), minlength=len(root)) / len(draws)
