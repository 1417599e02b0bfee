"""Laplace's method for logistic models with a normal prior: how sure the weights are at their most probable value.

MacKay, "The evidence framework applied to classification networks" (1992).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from decision.policies.posterior import sigmoid
from decision.records import FloatArray, IntArray
from experiments.learners.base import Rows, Uncertainty

# Rows at a time, so that the design never exists for all rows at once.
CHUNK = 8_192
Design = Callable[[IntArray, FloatArray], FloatArray]


class Laplace:
    """The posterior of weights on `design(action, x)` [n, P], made when it is first asked for."""

    def __init__(self, rows: Rows, coefficients: FloatArray, design: Design, variance: FloatArray) -> None:
        """`coefficients` [K, D + 1] were fitted on `rows`, under normal priors of `variance` [P], infinite for none."""
        self.rows, self.coefficients, self.design, self.variance = rows, coefficients, design, variance

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return standard deviations of the log-odds for contexts `x` [n, D]."""
        n, k = len(x), self.rows.actions
        deviation, with_control = np.empty((n, k)), np.empty((n, k))
        for lo in range(0, n, CHUNK):
            part = x[lo : lo + CHUNK]
            sure = [self.design(np.full(len(part), action), part) for action in range(k)]
            control = sure[0] @ self._covariance
            for action, own in enumerate(sure):
                deviation[lo : lo + CHUNK, action] = ((own @ self._covariance) * own).sum(axis=1)
                with_control[lo : lo + CHUNK, action] = (control * own).sum(axis=1)
        return Uncertainty(np.sqrt(np.maximum(deviation, 0.0)), with_control)

    @cached_property
    def _covariance(self) -> FloatArray:
        precision = np.diag(1.0 / self.variance)
        for lo in range(0, len(self.rows.x), CHUNK):
            part, action = self.rows.x[lo : lo + CHUNK], self.rows.action[lo : lo + CHUNK]
            own = self.coefficients[action]
            p = sigmoid(own[:, 0] + (own[:, 1:] * part).sum(axis=1))
            design = self.design(action, part)
            precision += (design * (p * (1.0 - p))[:, None]).T @ design
        return np.asarray(np.linalg.inv(precision), dtype=float)
