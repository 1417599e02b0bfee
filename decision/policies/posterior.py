"""The bandit's belief: a Gaussian over the weights of a logistic model of repurchase, updated by Laplace's method.

The uplift model's log-odds enter as an offset, so the weights are the residual the bandit has learned. Chapelle
and Li, "An empirical evaluation of Thompson sampling" (2011), Algorithm 3, here with the full covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import EncoreError
from decision.records import FloatArray

NEWTON_STEPS = 50
TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Posterior:
    """Mean [P] and precision [P, P] of the weights; `n` outcomes went into it."""

    mean: FloatArray
    precision: FloatArray
    n: int = 0

    @staticmethod
    def prior(variance: FloatArray) -> Posterior:
        """Return the belief before any outcome: mean 0 and the given variances, shape [P]."""
        return Posterior(mean=np.zeros(len(variance)), precision=np.diag(1.0 / variance), n=0)

    def updated(self, design: FloatArray, offset: FloatArray, outcome: FloatArray) -> Posterior:
        """Return the belief after `n` more outcomes.

        Parameters
        ----------
        design : [n, P] features of the actions taken.
        offset : [n] log-odds that the uplift model predicted.
        outcome : [n] 1 where a repurchase followed, else 0.

        Raises
        ------
        EncoreError : Newton's method does not converge, which a proper prior rules out for finite input.
        """
        if len(outcome) == 0:
            return self
        mean = self.mean
        for _ in range(NEWTON_STEPS):
            p = sigmoid(offset + design @ mean)
            gradient = design.T @ (outcome - p) - self.precision @ (mean - self.mean)
            curvature = self.precision + (design * (p * (1.0 - p))[:, None]).T @ design
            step = np.linalg.solve(curvature, gradient)
            # A step longer than 5 log-odds overshoots the flat ends of the logistic curve.
            reach = np.abs(design @ step).max()
            mean = mean + step * min(1.0, 5.0 / max(reach, 1e-12))
            if reach < TOLERANCE:
                return Posterior(mean=mean, precision=curvature, n=self.n + len(outcome))
        raise EncoreError("Expected the bandit's update to converge, it did not.", hint="Check the features.")


def sigmoid(z: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-z)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def logit(p: FloatArray) -> FloatArray:
    """Return the log-odds of probabilities, kept a millionth away from 0 and 1."""
    p = np.clip(p, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(p / (1.0 - p)))
