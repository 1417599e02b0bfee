"""The action whose value might be highest: an upper confidence bound instead of draws.

Li, Chu, Langford and Schapire, "A contextual-bandit approach to personalized news article recommendation" (2010), with
the belief's full covariance instead of a ridge regression an action, and a logistic mean: Filippi, Cappé, Garivier and
Szepesvári, "Parametric bandits: the generalized linear case" (2010). It chooses with certainty, so that the exploration
floor, which is added outside, is all that lets others be evaluated on its log.
"""

from __future__ import annotations

import math

import numpy as np

from decision.errors import EncoreError
from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit, best
from decision.policies.base import Outlook, Situation
from decision.policies.posterior import Posterior, sigmoid
from decision.records import FloatArray

# One standard deviation: about what one draw in six of the belief exceeds.
ALPHA = 1.0


class LinUcb(Bandit):
    """Optimism in the face of uncertainty; chance decides between equals alone."""

    def __init__(self, features: ActionFeatures, posterior: Posterior, *, alpha: float = ALPHA) -> None:
        """`alpha` is how many of the belief's standard deviations of the log-odds the bound lies above the mean.

        Raises
        ------
        EncoreError : alpha is negative or not finite.
        """
        if not 0.0 <= alpha < math.inf:
            raise EncoreError(f"Expected a finite alpha of 0 or more, found {alpha}.")
        super().__init__(features, posterior)
        # The precision's triangular root turns into one of the covariance without inverting twice.
        self._root = alpha * np.linalg.inv(np.linalg.cholesky(posterior.precision))

    def distribution(self, situation: Situation) -> FloatArray:
        """Return all probability on the highest upper bound, shape [K]; equals share it."""
        return best(self.bound(situation.foreseen()))

    def bound(self, outlook: Outlook) -> FloatArray:
        """Return the upper confidence bound on each action's value, shape [K], in currency units.

        A value is monotone in the log-odds, so its bound is the value at theirs: the lower one where a repurchase costs
        more than it brings.
        """
        design = self.features.design(outlook.index, outlook.features)
        width = np.sqrt(np.square(design @ self._root.T).sum(axis=1))
        odds = sigmoid(self._centre(outlook) + np.sign(outlook.worth.per_repurchase) * width)
        return outlook.worth.value(odds)
