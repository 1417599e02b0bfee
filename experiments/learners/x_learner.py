"""causalml's X-learner: effects imputed from the other arm, then regressed on the context.

Künzel et al., "Metalearners for estimating heterogeneous treatment effects" (2019).
"""

from __future__ import annotations

import numpy as np

from experiments.learners.base import Fitted, Rows
from experiments.learners.effects import RIDGE, effect_fit, propensities, same_for_all
from experiments.learners.t_learner import INVERSE_PENALTY, arm_names, quiet_causalml


class XLearner:
    """Right where control has far more rows than each treatment."""

    name = "causalml_x_learner"
    complexity = 3

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted effects. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.meta import BaseXClassifier
        from sklearn.linear_model import LogisticRegression, Ridge

        names = arm_names(rows)
        shares = propensities(rows, names, seed=seed)
        model = BaseXClassifier(
            outcome_learner=LogisticRegression(C=INVERSE_PENALTY, max_iter=500, random_state=seed),
            effect_learner=Ridge(alpha=RIDGE),
            control_name=names[0],
        )
        model.fit(rows.x, treatment=np.array(names)[rows.action], y=rows.outcome.astype(int), p=shares)
        return effect_fit(
            self, rows, lambda x: model.predict(x, p=same_for_all(shares, len(x)), verbose=False), seed=seed
        )
