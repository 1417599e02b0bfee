"""Pooled logistic model on features of action x context, shrunk block by block.

One model for all actions: offers and channels share strength, and the interactions with the context are shrunk
harder than the averages. Ridge with a scale per block is the posterior mode under the bandit's own prior.
"""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import PriorScales
from experiments.learners.base import Fitted, Rows, enough
from experiments.learners.laplace import Laplace
from experiments.learners.linear import LinearFit, collapse

# The context's own effect is estimated from all rows and hardly needs shrinking; the treatments' do.
SCALES = PriorScales(base=10.0, base_x=1.0, offer=0.5, channel=0.25, offer_channel=0.12, offer_x=0.15, channel_x=0.08)


class PooledLinear:
    """Strength shared between actions, effects by context."""

    name = "pooled_linear"
    complexity = 1

    def __init__(self, scales: PriorScales = SCALES) -> None:
        """`scales` are the prior standard deviations of the blocks, in log-odds."""
        self.scales = scales

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted model. Raises `NotEnoughData` below ten of either outcome."""
        from sklearn.linear_model import LogisticRegression

        enough(rows)
        deviation = np.sqrt(rows.features.prior_variance(self.scales))
        design = rows.features.design(rows.action, rows.x) * deviation
        model = LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-8, random_state=seed)
        model.fit(design, rows.outcome)
        weights = model.coef_[0] * deviation
        coefficients = collapse(rows.features, weights, float(model.intercept_[0]))
        # The intercept, which is not shrunk, and the base are one column.
        free = np.where(np.arange(rows.features.size) == 0, np.inf, rows.features.prior_variance(self.scales))
        return LinearFit(coefficients, Laplace(rows, coefficients, rows.features.design, free))
