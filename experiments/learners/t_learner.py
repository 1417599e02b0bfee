"""causalml's T-learner over ridge logistic models: one model per action.

Künzel et al., "Metalearners for estimating heterogeneous treatment effects" (2019). causalml's default base
learners overfit at these sizes, so the base learner is set.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from decision.errors import NotEnoughData
from decision.records import FloatArray, IntArray
from experiments.learners.base import Fitted, Rows
from experiments.learners.laplace import Laplace
from experiments.learners.linear import LinearFit

# The variance of the normal prior of every slope.
INVERSE_PENALTY = 0.02


class TLearner:
    """No strength shared between actions: right where there is plenty of each."""

    name = "causalml_t_learner"
    complexity = 2

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted models. Raises `NotEnoughData` when an action has fewer than 5 of either outcome."""
        quiet_causalml()
        from causalml.inference.meta import BaseTClassifier
        from sklearn.linear_model import LogisticRegression

        names = arm_names(rows)
        base = LogisticRegression(C=INVERSE_PENALTY, max_iter=500, random_state=seed)
        model = BaseTClassifier(learner=base, control_name=names[0])
        model.fit(rows.x, treatment=np.array(names)[rows.action], y=rows.outcome.astype(int))
        fitted = [model.model_c, *(model.models_t[name] for name in names[1:])]
        coefficients = np.array([np.concatenate([m.intercept_, m.coef_[0]]) for m in fitted])
        variance = np.tile([np.inf, *[INVERSE_PENALTY] * rows.x.shape[1]], rows.actions)
        return LinearFit(coefficients, Laplace(rows, coefficients, partial(_apart, rows.actions), variance))


def _apart(actions: int, index: IntArray, x: FloatArray) -> FloatArray:
    """Return the design [n, K x (1 + D)] of models that share nothing: the context in its action's own columns."""
    own = np.hstack([np.ones((len(x), 1)), x])
    return (np.eye(actions)[index][:, :, None] * own[:, None, :]).reshape(len(x), -1)


def quiet_causalml() -> None:
    """Keep a citation helper, which causalml's dependencies look for, from logging an error that means nothing."""
    import logging

    logging.getLogger("duecredit").setLevel(logging.CRITICAL)


def arm_names(rows: Rows, *, fewest: int = 5) -> list[str]:
    """Return a sortable name for each action, control first.

    Raises
    ------
    NotEnoughData : an action has fewer than `fewest` rows of either outcome, there is control alone, or no fact.
    """
    if rows.actions < 2 or rows.x.shape[1] == 0:
        raise NotEnoughData(
            f"Expected at least one treatment and one fact that varies, found {rows.actions - 1} and {rows.x.shape[1]}."
        )
    positives = np.bincount(rows.action, weights=rows.outcome, minlength=rows.actions)
    total = np.bincount(rows.action, minlength=rows.actions)
    short = np.flatnonzero(np.minimum(positives, total - positives) < fewest)
    if len(short):
        raise NotEnoughData(
            f"Expected at least {fewest} of either outcome for every action, "
            f"found {int(positives[short[0]])} of {int(total[short[0]])} for action {int(short[0])}."
        )
    return [f"{k:03d}" for k in range(rows.actions)]
