"""The bandit's belief: a Gaussian over the weights of a logistic model of repurchase, updated by Laplace's method.

The uplift model's log-odds enter as an offset, so the weights are the residual the bandit has learned. Chapelle
and Li, "An empirical evaluation of Thompson sampling" (2011), Algorithm 3, here with the full covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import EncoreError
from decision.records import FloatArray

NEWTON_STEPS = 100
TOLERANCE = 1e-10
ROUNDING = 1e-14


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
        EncoreError : the input is not finite, or Newton's method does not converge, which a proper prior rules out.
        """
        if len(outcome) == 0:
            return self
        if not (np.isfinite(design).all() and np.isfinite(offset).all()):
            raise EncoreError("Expected finite features and log-odds, found others.", hint="Check the features.")

        def curvature(weights: FloatArray) -> FloatArray:
            p = sigmoid(offset + design @ weights)
            return np.asarray(self.precision + (design * (p * (1.0 - p))[:, None]).T @ design)

        def loss(weights: FloatArray) -> float:
            z, away = offset + design @ weights, weights - self.mean
            return float(np.logaddexp(0.0, z).sum() - outcome @ z + 0.5 * away @ self.precision @ away)

        mean = self.mean
        for _ in range(NEWTON_STEPS):
            residual = outcome - sigmoid(offset + design @ mean)
            gradient = design.T @ residual - self.precision @ (mean - self.mean)
            step = np.linalg.solve(curvature(mean), gradient)
            here, gain = loss(mean), float(gradient @ step)
            rounding = ROUNDING * (1.0 + abs(here))
            # A full step overshoots the flat ends of the logistic curve: one absurdly large order would do.
            length = 1.0
            while loss(mean + length * step) > here - 1e-4 * length * gain + 100.0 * rounding:
                length /= 2.0
            mean = mean + length * step
            if np.abs(design @ step).max() < TOLERANCE or length * gain < rounding:
                return Posterior(mean, curvature(mean), n=self.n + len(outcome))
        raise EncoreError("Expected the bandit's update to converge, it did not.", hint="Check the features.")


def sigmoid(z: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-z)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def logit(p: FloatArray) -> FloatArray:
    """Return the log-odds of probabilities, kept a millionth away from 0 and 1."""
    p = np.clip(p, 1e-6, 1.0 - 1e-6)
    return np.asarray(np.log(p / (1.0 - p)))
