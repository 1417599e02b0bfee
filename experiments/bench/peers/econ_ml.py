"""EconML's LinearDRLearner on the profit, with the trial's design as propensity."""

from __future__ import annotations

import numpy as np

from experiments.bench.peers.hurdle import standardised
from experiments.bench.protocol import FloatArray, Trial


def linear_dr(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects that are linear in the customer; nuisances are linear too, cross-fitted in two folds."""
    from econml.dr import LinearDRLearner  # type: ignore[import-not-found]
    from sklearn.dummy import DummyClassifier
    from sklearn.linear_model import Ridge

    x, x_new = standardised(trial.x, x_new)
    model = LinearDRLearner(
        model_propensity=DummyClassifier(strategy="prior"),
        model_regression=Ridge(alpha=30.0),
        cv=2,
        random_state=trial.seed,
    )
    model.fit(trial.profit, trial.action, X=x)
    return np.column_stack([np.zeros(len(x_new)), model.const_marginal_effect(x_new)])
