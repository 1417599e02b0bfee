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

    def __init__(self, features: ActionFeatures, posterior: Posterior, *, width: float = 1.0) -> None:
        """`width` is how many of the belief's standard deviations `_spread` holds.

        Raises
        ------
        numpy.linalg.LinAlgError : the precision is not positive definite.
        """
        self.features = features
        self.posterior = posterior
        # The precision's triangular root turns into one of the covariance without inverting twice.
        root = width * np.linalg.inv(np.linalg.cholesky(posterior.precision)).T
        # Features are linear in z = (1, x), so both products are made once, for every action: [1 + D, K (x P)].
        lift = _lift(features)
        self._means = lift @ posterior.mean
        self._roots = np.ascontiguousarray((lift @ root).reshape(len(lift), -1))

    def repurchase(self, outlook: Outlook) -> FloatArray:
        """Return the mean odds of a repurchase, shape [K]: the uplift model's, corrected by what was learned."""
        return sigmoid(self._centre(outlook))

    def value(self, outlook: Outlook) -> FloatArray:
        """Return what the actions are worth at the belief's mean, shape [K], in currency units."""
        return outlook.worth.value(self.repurchase(outlook))

    def _centre(self, outlook: Outlook) -> FloatArray:
        """Return the mean log-odds of a repurchase, shape [K]."""
        residual = (_with_one(outlook.features) @ self._means)[outlook.index]
        return logit(outlook.components.repurchase) + residual

    def _spread(self, outlook: Outlook) -> FloatArray:
        """Return a root of the log-odds' covariance over the whole catalogue, shape [catalogue, P]."""
        return np.asarray(_with_one(outlook.features) @ self._roots).reshape(len(self.features.offers), -1)


def best(values: FloatArray) -> FloatArray:
    """Return all probability on the highest of values [K]; equals share it, but no treatment with control.

    Control is first, and an offer must beat it.
    """
    top = values == values.max()
    top[1:] &= not top[0]
    return np.asarray(top / top.sum())


def _with_one(x: FloatArray) -> FloatArray:
    return np.concatenate(([1.0], x))


def _lift(features: ActionFeatures) -> FloatArray:
    """Return the array [1 + D, K, P] that turns (1, x) into the design of every action."""
    every = np.arange(len(features.offers))
    base = features.design(every, np.zeros(features.width))
    return np.stack([base, *(features.design(every, unit) - base for unit in np.eye(features.width))])
