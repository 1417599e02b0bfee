"""What all bandits share: the belief, made ready to answer for every action of the catalogue in a few products.

Log-odds of a repurchase = the uplift model's + w . features(action, context), with w as `policies.posterior` has it.
"""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.policies.base import Outlook, Policy
from decision.policies.posterior import Posterior, logit, sigmoid
from decision.records import FloatArray


class Bandit(Policy):
    """Prior mean from the uplift model, residual from the posterior."""

    def __init__(self, features: ActionFeatures, posterior: Posterior) -> None:
        """`features` are the catalogue's, of as many weights as the belief has."""
        self.features = features
        self.posterior = posterior
        members, weights, own = features.parts()
        self._means = posterior.mean[weights] @ members.T
        self._means[0] += own @ posterior.mean

    def repurchase(self, outlook: Outlook) -> FloatArray:
        """Return the mean odds of a repurchase, shape [K]: the uplift model's, corrected by what was learned."""
        return sigmoid(self._centre(outlook))

    def value(self, outlook: Outlook) -> FloatArray:
        """Return what the actions are worth at the belief's mean, shape [K], in currency units."""
        return outlook.worth.value(self.repurchase(outlook))

    def _centre(self, outlook: Outlook) -> FloatArray:
        """Return the mean log-odds of a repurchase, shape [K]."""
        residual = (self._means[0] + outlook.features @ self._means[1:])[outlook.index]
        return np.asarray(logit(outlook.components.repurchase) + residual)


def best(values: FloatArray) -> FloatArray:
    """Return all probability on the highest of values [K]; equals share it, but no treatment with control.

    Control is first, and an offer must beat it.
    """
    top = values == values.max()
    top[1:] &= not top[0]
    return np.asarray(top / top.sum())
