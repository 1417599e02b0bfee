"""Hurdle learners: does she buy, and for how much; the offers' terms are applied to both outside.

An S-learner is one model of customer and action, a T-learner one model an action. The basket is one ridge regression
for all actions in either case: orders are few.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.protocol import FloatArray, IntArray, Trial


def linear_s(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return values by one logistic regression, with products of action and customer."""
    x, x_new = standardised(trial.x, x_new)
    model = _logistic(0.02).fit(with_action(x, trial.action, trial.terms.actions), trial.bought)
    odds = [model.predict_proba(every)[:, 1] for every in for_all(x_new, trial.terms.actions)]
    return trial.terms.value(np.column_stack(odds), baskets(trial, x, x_new))


def linear_t(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return values by one logistic regression an action."""
    x, x_new = standardised(trial.x, x_new)
    arms = [trial.action == arm for arm in range(trial.terms.actions)]
    odds = [_logistic(0.02).fit(x[arm], trial.bought[arm]).predict_proba(x_new)[:, 1] for arm in arms]
    return trial.terms.value(np.column_stack(odds), baskets(trial, x, x_new))


def lightgbm_s(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return values by one boosted model, of which the actions are columns."""
    x, x_scaled = standardised(trial.x, x_new)
    k = trial.terms.actions
    model = small_trees("LGBMClassifier", trial.seed, trees=300).fit(_beside(trial.x, trial.action, k), trial.bought)
    every = (_beside(x_new, np.full(len(x_new), arm), k) for arm in range(k))
    odds = [model.predict_proba(columns)[:, 1] for columns in every]
    return trial.terms.value(np.column_stack(odds), baskets(trial, x, x_scaled))


def lightgbm_t(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return values by one boosted model an action."""
    x, x_scaled = standardised(trial.x, x_new)
    arms = [trial.action == arm for arm in range(trial.terms.actions)]
    fits = [small_trees("LGBMClassifier", trial.seed).fit(trial.x[arm], trial.bought[arm]) for arm in arms]
    odds = [fit.predict_proba(x_new)[:, 1] for fit in fits]
    return trial.terms.value(np.column_stack(odds), baskets(trial, x, x_scaled))


def profit_t(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return values by one ridge regression of the profit itself an action: no hurdle."""
    from sklearn.linear_model import Ridge

    x, x_new = standardised(trial.x, x_new)
    arms = [trial.action == arm for arm in range(trial.terms.actions)]
    return np.column_stack([Ridge(alpha=30.0).fit(x[arm], trial.profit[arm]).predict(x_new) for arm in arms])


def small_trees(kind: str, seed: int, *, trees: int = 100) -> Any:
    """Return a LightGBM model, LGBMClassifier or LGBMRegressor, tuned small: outcomes are mostly noise."""
    import lightgbm

    return getattr(lightgbm, kind)(
        n_estimators=trees,
        learning_rate=0.05,
        num_leaves=8,
        min_child_samples=60,
        reg_lambda=5.0,
        random_state=seed,
        n_jobs=1,
        verbose=-1,
    )


def standardised(x: FloatArray, x_new: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return old and new customers on the scale of the old."""
    centre, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    return (x - centre) / scale, (x_new - centre) / scale


def with_action(x: FloatArray, action: IntArray, k: int) -> FloatArray:
    """Return the columns of customers, of treatments, and of their products."""
    arms = np.eye(k)[action][:, 1:]
    return np.hstack([x, arms, (arms[:, :, None] * x[:, None, :]).reshape(len(x), -1)])


def for_all(x: FloatArray, k: int) -> list[FloatArray]:
    """Return the columns of customers under each action."""
    return [with_action(x, np.full(len(x), arm), k) for arm in range(k)]


def baskets(trial: Trial, x: FloatArray, x_new: FloatArray) -> FloatArray:
    """Return expected baskets [n_new, K] from standardised customers: log-linear, smeared back (Duan 1983)."""
    from sklearn.linear_model import Ridge

    k, buyers = trial.terms.actions, trial.bought > 0
    columns, logs = _beside(x[buyers], trial.action[buyers], k), np.log(trial.order[buyers])
    model = Ridge(alpha=3.0).fit(columns, logs)
    smear = float(np.exp(logs - model.predict(columns)).mean())
    every = (_beside(x_new, np.full(len(x_new), arm), k) for arm in range(k))
    low, high = np.quantile(trial.order[buyers], [0.01, 0.99])
    expected: FloatArray = np.column_stack([np.exp(model.predict(columns)) * smear for columns in every])
    return expected.clip(low, high)


def _beside(x: FloatArray, action: IntArray, k: int) -> FloatArray:
    return np.hstack([x, np.eye(k)[action][:, 1:]])


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=500)
