"""causalml's R-learner: effects from residuals of outcome and treatment.

Nie and Wager, "Quasi-oracle estimation of heterogeneous treatment effects" (2021).
"""

from __future__ import annotations

import numpy as np

from experiments.learners.base import Fitted, Rows
from experiments.learners.effects import RIDGE, effect_fit, propensities
from experiments.learners.t_learner import INVERSE_PENALTY, arm_names, quiet_causalml


class RLearner:
    """Orthogonal to mistakes in the average outcome."""

    name = "causalml_r_learner"
    complexity = 3

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted effects. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.meta import BaseRClassifier
        from sklearn.linear_model import LogisticRegression, Ridge

        names = arm_names(rows)
        model = BaseRClassifier(
            outcome_learner=LogisticRegression(C=INVERSE_PENALTY, max_iter=500, random_state=seed),
            effect_learner=Ridge(alpha=RIDGE),
            control_name=names[0],
            random_state=seed,
        )
        shares = propensities(rows, names, seed=seed)
        model.fit(rows.x, treatment=np.array(names)[rows.action], y=rows.outcome.astype(int), p=shares, verbose=False)
        return effect_fit(self, rows, model.predict, seed=seed)
