"""A control variate for short logs: the weights' mean is known to be 1, so what it misses by tells of the error."""

from __future__ import annotations

import numpy as np

from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, beside


def controlled_columns(weight: FloatArray, term: FloatArray, error: FloatArray) -> FloatArray:
    """float[n, 5]: weight, term, weight^2, weight * term, and error; `Controlled` reads their means."""
    return beside(weight, term, weight * weight, weight * term, error)


class Controlled(SmoothOfMeans):
    """mean(term) - slope * (mean(w) - 1), the slope being that of the term on the weight (Hesterberg 1995).

    The regression takes out of `term` what the weights explain. The slope is estimated on the same rounds;
    the bias from that is of order 1 / n. Where the weights don't vary there is nothing to take out.
    """

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The regression estimate; the gradient counts the slope's own error in."""
        weight, term, square, cross = (float(number) for number in mean[:4])
        spread, miss = square - weight * weight, weight - 1
        if not spread > 1e-12 * square:
            return term, np.array([0.0, 1.0, 0.0, 0.0, 0.0])
        slope = (cross - weight * term) / spread
        by_weight = -slope - miss * (2 * weight * slope - term) / spread
        gradient = [by_weight, 1 + miss * weight / spread, miss * slope / spread, -miss / spread, 0.0]
        return term - slope * miss, np.array(gradient)
