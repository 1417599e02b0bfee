"""causalml's DR-learner: effects from doubly robust scores, cross-fitted.

Kennedy, "Towards optimal doubly robust estimation of heterogeneous causal effects" (2023).
"""

from __future__ import annotations

import numpy as np

from experiments.learners.base import Fitted, Rows
from experiments.learners.effects import RIDGE, effect_fit, propensities
from experiments.learners.t_learner import arm_names, quiet_causalml


class DrLearner:
    """Right where either the outcome model or the propensities are."""

    name = "causalml_dr_learner"
    complexity = 3

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted effects. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.meta import BaseDRLearner
        from sklearn.linear_model import Ridge

        names = arm_names(rows)
        shares = propensities(rows, names, seed=seed)
        model = BaseDRLearner(learner=Ridge(alpha=RIDGE), control_name=names[0])
        model.fit(rows.x, treatment=np.array(names)[rows.action], y=rows.outcome.astype(float), p=shares, seed=seed)
        return effect_fit(self, rows, lambda x: model.predict(x, verbose=False), seed=seed)
