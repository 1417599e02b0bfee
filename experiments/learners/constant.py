"""Average odds per action, shrunk towards each other, the same for every customer: what a rule could do."""

from __future__ import annotations

import numpy as np

from decision.records import FloatArray
from experiments.learners.base import Fitted, Rows, Uncertainty
from experiments.learners.linear import LinearFit
from experiments.learners.pooled_linear import PooledLinear


class Constant:
    """No context at all: the simplest candidate, chosen where the data can't tell customers apart."""

    name = "constant"
    complexity = 0

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted averages. Raises `NotEnoughData` below ten of either outcome."""
        blind = Rows(np.zeros((len(rows.x), 0)), rows.action, rows.outcome, rows.features.without_context())
        fitted = PooledLinear().fit(blind, seed=seed)
        intercepts = fitted.export().arrays["coefficients"][:, :1]
        return LinearFit(_pad(intercepts, rows.x.shape[1]), _Blind(fitted))


class _Blind:
    """Asks a fit that knows no context."""

    def __init__(self, fitted: Fitted) -> None:
        self.fitted = fitted

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return the same for every customer."""
        return self.fitted.uncertainty(x[:, :0])


def _pad(intercepts: FloatArray, width: int) -> FloatArray:
    return np.hstack([intercepts, np.zeros((len(intercepts), width))])
