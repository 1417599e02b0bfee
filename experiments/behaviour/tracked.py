"""What an evaluation or a training of customers' predictions leaves in MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from decision.programme.model import Programme
from experiments import tracking
from experiments.behaviour import grid
from experiments.behaviour.effects import hazard_effects
from experiments.behaviour.evaluation import Evaluated, Line, table
from experiments.behaviour.journal import date_of
from experiments.behaviour.models import Models, Settings, churn_days
from experiments.plots import customers as plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def log_evaluation(found: Evaluated, programme: Programme) -> str:
    """Log an evaluation as a run of MLflow and return its id."""
    models = found.models
    with tracking.run(
        programme, "customers evaluate", parameters=parameters(models), tags={"encore.kind": "customers"}
    ) as mlflow:
        tracking.log_metrics(mlflow, {**metrics_of(found.lines), **_coverage(found)})
        tracking.log_figures(mlflow, figures(found))
        mlflow.log_text("\n".join(table(found.lines)) + "\n", "predictions_against_rules.txt")
        mlflow.log_text("\n".join(v.sentence() for v in models.verdicts) + "\n", "enough_data.txt")
        return str(mlflow.active_run().info.run_id)


def parameters(models: Models) -> Mapping[str, object]:
    """Return what was chosen and what was found, as parameters of a run."""
    settings: Settings = models.settings
    told: dict[str, object] = {
        "cut": date_of(models.cut - 1).isoformat(),
        "seed": settings.seed,
        "timezone": settings.timezone,
        "clv_days": settings.clv_days,
        "margin": settings.margin,
        "data_sha256": models.data_sha256,
    }
    if models.repurchase is not None:
        habit, season = models.repurchase.habit, models.repurchase.season
        told |= {
            "habit.shape": habit.shape,
            "habit.scale": habit.scale,
            "habit.stop": habit.stop,
            "habit.stay": habit.stay,
            "season.cosine": season.cosine,
            "season.sine": season.sine,
            "horizon_days": models.repurchase.horizon_days,
            "members": ", ".join(models.repurchase.kept),
        }
    return told


def metrics_of(lines: tuple[Line, ...]) -> Mapping[str, float]:
    """Return the figures of the lines with their intervals, by name."""
    found: dict[str, float] = {}
    for line in lines:
        own = f"{line.what}.{line.metric}".replace(" ", "_")
        of = line.found
        found |= {own: of.model, f"{own}.low": of.model_low, f"{own}.high": of.model_high}
        found |= {line.key: of.difference, f"{line.key}.low": of.low, f"{line.key}.high": of.high}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _coverage(found: Evaluated) -> Mapping[str, float]:
    return {f"coverage_of_80_percent.{name.split(',')[0].replace(' ', '_')}": v for name, v in found.coverage.items()}


def figures(found: Evaluated) -> Mapping[str, Figure]:
    """Return the plots of an evaluation by name."""
    models, curve = found.models, found.curve
    drawn: dict[str, Figure] = {}
    if models.repurchase is not None:
        own = churn_days(found.state, float(curve.ends[-1]))
        cells = grid.cells(curve.within(90.0), 1.0 - curve.within(own))
        season = models.repurchase.season.sentence()
        drawn["calibration"] = plots.customer_calibrations(found.calibration, below=season)
        drawn["grid"] = plots.customer_grid(grid.counts(cells))
        drawn["hazard_effects"] = plots.hazard_effects(hazard_effects(models.repurchase, found.state))
    if models.second is not None:
        drawn["second_purchase"] = plots.second_purchase_curve(models.second)
    return drawn
