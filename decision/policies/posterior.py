"""The bandit's belief: a Gaussian over the weights of a logistic model of repurchase, updated by Laplace's method.

The uplift model's log-odds enter as an offset, so the weights are the residual the bandit has learned. Chapelle
and Li, "An empirical evaluation of Thompson sampling" (2011), Algorithm 3, here with the full covariance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from decision.errors import EncoreError
from decision.records import FloatArray

NEWTON_STEPS = 100
TOLERANCE = 1e-10
ROUNDING = 1e-14
# The curvature is computed anew when a step gains more than this share of the one before.
KEPT = 0.05


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

    def updated(
        self, design: FloatArray, offset: FloatArray, outcome: FloatArray, *, seen: FloatArray | None = None
    ) -> Posterior:
        """Return the belief after `n` more outcomes.

        A decision whose window is still open shows only a part of the repurchases to come: what is seen of it is a
        repurchase with probability `seen * P(repurchase)`, and that is its likelihood. Chapelle, "Modeling delayed
        feedback in display advertising" (2014). The curvature is Fisher's, which is the observed one where all is seen.

        Parameters
        ----------
        design : [n, P] features of the actions taken.
        offset : [n] log-odds that the uplift model predicted.
        outcome : [n] 1 where a repurchase followed so far, else 0.
        seen : [n] share in (0, 1] of repurchases that show by now, 1 by default.

        Raises
        ------
        EncoreError : the input is not finite, or Newton's method does not converge, which a proper prior rules out.
        """
        if len(outcome) == 0:
            return self
        if not (np.isfinite(design).all() and np.isfinite(offset).all()):
            raise EncoreError("Expected finite features and log-odds, found others.", hint="Check the features.")

        shown = np.ones(len(outcome)) if seen is None else seen
        with np.errstate(divide="ignore"):
            hidden = np.log1p(-shown)

        def curvature(weight: FloatArray) -> FloatArray:
            return np.asarray(self.precision + (design * weight[:, None]).T @ design)

        def fisher(z: FloatArray) -> FloatArray:
            p = sigmoid(z)
            return np.asarray(shown * p * (1.0 - p) * sigmoid(-(z + hidden)))

        def observed(z: FloatArray) -> FloatArray:
            # Fisher's would do, but takes a hundred steps where outcomes and belief are far apart.
            p, late = sigmoid(z), sigmoid(z + hidden)
            return np.maximum(p * (1.0 - p) - (1.0 - outcome) * late * (1.0 - late), 0.0)

        def loss(weights: FloatArray) -> float:
            z, away = offset + design @ weights, weights - self.mean
            missed = (1.0 - outcome) @ np.logaddexp(0.0, z + hidden)
            return float(np.logaddexp(0.0, z).sum() - outcome @ z - missed + 0.5 * away @ self.precision @ away)

        mean, before = self.mean, np.inf
        hessian: FloatArray | None = None
        for _ in range(NEWTON_STEPS):
            z = offset + design @ mean
            residual = (outcome - shown * sigmoid(z)) * sigmoid(-(z + hidden))
            gradient = design.T @ residual - self.precision @ (mean - self.mean)
            # The curvature is what takes time: it is kept as long as it makes steps short quickly.
            fresh = hessian is None
            if hessian is None:
                hessian = curvature(observed(z))
            step = np.linalg.solve(hessian, gradient)
            here, gain = loss(mean), float(gradient @ step)
            rounding = ROUNDING * (1.0 + abs(here))
            # A full step overshoots the flat ends of the logistic curve: one absurdly large order would do.
            length = 1.0
            while loss(mean + length * step) > here - 1e-4 * length * gain + 100.0 * rounding:
                length /= 2.0
            mean = mean + length * step
            close = np.abs(design @ step).max() < TOLERANCE or length * gain < rounding
            if close and fresh:
                return Posterior(mean, curvature(fisher(offset + design @ mean)), n=self.n + len(outcome))
            if close or length < 1.0 or gain > KEPT * before:
                hessian = None
            before = gain
        raise EncoreError("Expected the bandit's update to converge, it did not.", hint="Check the features.")

    def under(self, after: FloatArray, *, before: FloatArray) -> Posterior:
        """Return the belief as it would be had the prior's variances [P] been others; what outcomes said stays."""
        precision = self.precision.copy()
        precision[np.diag_indices(len(after))] += 1.0 / after - 1.0 / before
        mean = np.asarray(np.linalg.solve(precision, self.precision @ self.mean), dtype=np.float64)
        return replace(self, mean=mean, precision=precision)

    def log_likelihood(self, design: FloatArray, offset: FloatArray, outcome: FloatArray) -> float:
        """Return the log-likelihood of outcomes [n] at the mean; arguments as in `updated`."""
        z = offset + design @ self.mean
        return float(outcome @ z - np.logaddexp(0.0, z).sum())


def sigmoid(z: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-z)) without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def logit(p: FloatArray) -> FloatArray:
    """Return the log-odds of probabilities, kept a millionth away from 0 and 1."""
    p = np.minimum(np.maximum(p, 1e-6), 1.0 - 1e-6)
    return np.asarray(np.log(p / (1.0 - p)))
