"""causalml's meta-learners on the profit, each treatment against no offer, with LightGBM."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from experiments.bench.peers.hurdle import small_trees
from experiments.bench.protocol import FloatArray, Trial


def learned_s(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects by the S-learner."""
    return _effects(trial, x_new, "BaseSRegressor", propensity=False)


def learned_t(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects by the T-learner."""
    return _effects(trial, x_new, "BaseTRegressor", propensity=False)


def learned_t_defaults(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects by the T-learner over LightGBM as it comes."""
    import lightgbm

    learner = lightgbm.LGBMRegressor(random_state=trial.seed, n_jobs=1, verbose=-1)
    return _effects(trial, x_new, "BaseTRegressor", propensity=False, learner=learner)


def learned_x(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects by the X-learner."""
    return _effects(trial, x_new, "BaseXRegressor", propensity=True)


def learned_r(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects by the R-learner."""
    return _effects(trial, x_new, "BaseRRegressor", propensity=True, random_state=trial.seed)


def learned_dr(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return effects by the DR-learner."""
    return _effects(trial, x_new, "BaseDRRegressor", propensity=True, fit={"seed": trial.seed})


def _effects(
    trial: Trial,
    x_new: FloatArray,
    name: str,
    *,
    propensity: bool,
    learner: Any = None,
    fit: dict[str, Any] | None = None,
    **options: Any,
) -> FloatArray:
    """Return values with no offer at 0. Propensities are those of the trial's design, of one treatment and control."""
    logging.disable(logging.CRITICAL)
    from causalml.inference import meta

    names = [f"{arm:02d}" for arm in range(trial.terms.actions)]
    learner = small_trees("LGBMRegressor", trial.seed) if learner is None else learner
    model = getattr(meta, name)(learner=learner, control_name=names[0], **options)
    known, known_new = ({"p": _half(names, len(x))} if propensity else {} for x in (trial.x, x_new))
    model.fit(trial.x, treatment=np.array(names)[trial.action], y=trial.profit, **known, **(fit or {}))
    return np.column_stack([np.zeros(len(x_new)), model.predict(x_new, **known_new)])


def _half(names: list[str], n: int) -> dict[str, FloatArray]:
    return {name: np.full(n, 0.5) for name in names[1:]}
