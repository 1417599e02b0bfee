"""What linear learners share: odds from one row of coefficients per action."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.policies.posterior import sigmoid
from decision.records import FloatArray
from experiments.learners.base import Export, Sure, Uncertainty


@dataclass(frozen=True, slots=True)
class LinearFit:
    """`coefficients` [K, D + 1], the intercept first, on the scale of log-odds; `sure` tells how sure they are."""

    coefficients: FloatArray
    sure: Sure | None = None

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return odds, shape [n, K]; the same rule in and out of sample."""
        del in_sample
        return sigmoid(self.coefficients[:, 0] + x @ self.coefficients[:, 1:].T)

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return how sure the predictions are. Raises `NotEnoughData` for coefficients that came from no rows."""
        if self.sure is None:
            raise NotEnoughData("Expected rows that the coefficients were fitted on, found none.")
        return self.sure.uncertainty(x)

    def export(self) -> Export:
        """Return the coefficients as they are."""
        return Export("linear", {"coefficients": self.coefficients})


def collapse(features: ActionFeatures, weights: FloatArray, intercept: float) -> FloatArray:
    """Return coefficients [K, D + 1] equal to `intercept + design(action, x) @ weights` for every action and x."""
    k, d = len(features.offers), features.width
    actions = np.arange(k)
    at_zero = features.design(actions, np.zeros(d)) @ weights
    slopes = [features.design(actions, np.eye(d)[j]) @ weights - at_zero for j in range(d)]
    return np.column_stack([at_zero + intercept, *slopes])
