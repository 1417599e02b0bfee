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


class Thompson(Policy):
    """Prior mean from the uplift model, residual from the posterior."""

    def __init__(
        self, features: ActionFeatures, posterior: Posterior, *, draws: int, exploration: float, seed: int
    ) -> None:
        """`draws` is M; `seed` fixes the common random numbers, so that a logged decision can be replayed.

        `exploration` scales the belief's standard deviations: below 1 it explores less than Thompson would, which
        pays over the months that a policy lives (Chapelle and Li 2011).
        """
        self.features = features
        self.posterior = posterior
        # The precision's triangular root turns into one of the covariance without inverting twice.
        root = np.linalg.cholesky(posterior.precision)
        self._root = exploration * np.linalg.inv(root).T
        self._normals = np.random.default_rng(seed).standard_normal((draws, len(self.features.offers)))

    def repurchase(self, outlook: Outlook) -> FloatArray:
        """Return the mean odds of a repurchase, shape [K]: the uplift model's, corrected by what was learned."""
        centre, _ = self._centre(outlook)
        return sigmoid(centre)

    def distribution(self, situation: Situation) -> FloatArray:
        """Return the share of draws in which each allowed action has the highest value, shape [K]."""
        outlook = situation.foreseen()
        centre, design = self._centre(outlook)
        # In the order of the catalogue, so that the order of the programme changes nothing.
        order = np.argsort(outlook.index)
        spread = design[order] @ self._root
        covariance = spread @ spread.T
        # Two actions that differ in nothing the bandit sees would make the root fail by rounding.
        covariance[np.diag_indices_from(covariance)] += 1e-9 * max(1.0, float(covariance.max()))
        noise = self._normals[:, outlook.index[order]] @ np.linalg.cholesky(covariance).T
        draws = centre + noise[:, np.argsort(order)]
        wins = np.bincount(outlook.worth.value(sigmoid(draws)).argmax(axis=1), minlength=len(centre))
        return wins / len(draws)

    def _centre(self, outlook: Outlook) -> tuple[FloatArray, FloatArray]:
        design = self.features.design(outlook.index, outlook.features)
        return logit(outlook.components.repurchase) + design @ self.posterior.mean, design
