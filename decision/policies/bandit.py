"""What all bandits share: the belief, made ready to answer for every action of the catalogue in a few products.

Log-odds of a repurchase = the uplift model's + w . features(action, context), with w as `policies.posterior` has it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decision.policies.action_features import ActionFeatures
from decision.policies.base import Outlook, Policy
from decision.policies.posterior import Posterior, logit, sigmoid
from decision.records import FloatArray

_ONE = np.ones(1)


class Bandit(Policy):
    """Prior mean from the uplift model, residual from the posterior."""

    def __init__(
        self, features: ActionFeatures, posterior: Posterior, *, width: float = 1.0, single: bool = False
    ) -> None:
        """`width` is how many of the belief's standard deviations `_spread` holds, in `single` precision or double.

        Raises
        ------
        numpy.linalg.LinAlgError : the precision is not positive definite.
        """
        self.features = features
        self.posterior = posterior
        # The precision's triangular root turns into one of the covariance without inverting twice.
        root = width * np.linalg.inv(np.linalg.cholesky(posterior.precision)).T
        # Features are linear in z = (1, x) and sums of few parts, so that products are made once, for the parts.
        members, lifts, own = features.parts()
        self._means = np.tensordot(lifts, posterior.mean, axes=1) @ members.T
        self._means[0] += own @ posterior.mean
        real = np.float32 if single else np.float64
        self._members = members.astype(real)
        self._roots = (lifts @ root).astype(real).reshape(len(lifts), -1)
        self._own = (own @ root).astype(real)

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

    def _spread(self, outlook: Outlook) -> NDArray[Any]:
        """Return a root of the log-odds' covariance over the whole catalogue, shape [catalogue, P]."""
        z = np.concatenate((_ONE, outlook.features), dtype=self._roots.dtype)
        return np.asarray(self._members @ (z @ self._roots).reshape(self._members.shape[1], -1) + self._own)


def best(values: FloatArray) -> FloatArray:
    """Return all probability on the highest of values [K]; equals share it, but no treatment with control.

    Control is first, and an offer must beat it.
    """
    top = values == values.max()
    top[1:] &= not top[0]
    return np.asarray(top / top.sum())
