"""What all bandits share: the belief, made ready to answer for every action of the catalogue in a few products.

Log-odds of a repurchase = the uplift model's + w . features(action, context), with w as `policies.posterior` has it.
"""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.policies.base import Outlook, Policy
from decision.policies.posterior import Posterior, logit, sigmoid
from decision.records import FloatArray

_ONE = np.ones(1)


class Bandit(Policy):
    """Prior mean from the uplift model, residual from the posterior."""

    def __init__(self, features: ActionFeatures, posterior: Posterior, *, width: float = 1.0) -> None:
        """`width` is how many of the belief's standard deviations `_covariance` is of.

        Raises
        ------
        numpy.linalg.LinAlgError : the precision is not positive definite.
        """
        self.features = features
        self.posterior = posterior
        # The precision's triangular root turns into one of the covariance without inverting twice.
        root = width * np.linalg.inv(np.linalg.cholesky(posterior.precision))
        covariance = root.T @ root
        # Designs are linear in z = (1, x) and sums of few parts, so that what is left to do at a decision is a product
        # of z z', each pair once, with the covariance of the parts: [pairs, G x G].
        members, weights, own = features.parts()
        first, second = np.triu_indices(len(weights))
        both = covariance[weights[first][:, :, None], weights[second][:, None, :]]
        both += np.where(first == second, 0.0, 1.0)[:, None, None] * both.transpose(0, 2, 1)
        self._first, self._second = first, second
        self._shared = both.reshape(len(first), -1)
        self._mixed = (covariance[weights.ravel()] @ own.T).reshape(len(weights), -1)
        self._own = own @ covariance @ own.T
        self._members = members
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

    def _covariance(self, outlook: Outlook) -> FloatArray:
        """Return the covariance of the log-odds over the whole catalogue, shape [catalogue, catalogue]."""
        z, members = np.concatenate((_ONE, outlook.features)), self._members
        parts = members.shape[1]
        shared = ((z.take(self._first) * z.take(self._second)) @ self._shared).reshape(parts, parts)
        mixed = members @ (z @ self._mixed).reshape(parts, -1)
        return np.asarray(members @ shared @ members.T + mixed + mixed.T + self._own)


def best(values: FloatArray) -> FloatArray:
    """Return all probability on the highest of values [K]; equals share it, but no treatment with control.

    Control is first, and an offer must beat it.
    """
    top = values == values.max()
    top[1:] &= not top[0]
    return np.asarray(top / top.sum())
