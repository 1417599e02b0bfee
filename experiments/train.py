"""The use case: from the ledger to a policy bundle, with every candidate in MLflow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from decision import __version__
from decision.bundle.store import Bundle
from decision.wiring import Home
from experiments import tracking
from experiments.challenger import Challenger, Settings, build_challenger
from experiments.dataset import training_set
from experiments.learners import USUAL
from experiments.learners.base import Learner
from experiments.train_report import candidate_metrics, figures


@dataclass(frozen=True, slots=True)
class Trained:
    """A challenger that has been written and registered: its bundle, and where it is in MLflow."""

    challenger: Challenger
    bundle: Bundle
    rows: int
    run_id: str
    model_version: str


def train(
    home: Home,
    settings: Settings,
    *,
    now: datetime,
    learners: Mapping[str, Learner] = USUAL,
    tell: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train a challenger on the training set of the home's ledger, write its bundle and register it.

    Customers of the evaluation set are never touched: they judge the challenger later.

    Raises
    ------
    NotEnoughData : too few finished decisions; says how many are needed.
    """
    programme = home.programme()
    tell("reading the ledger")
    data = training_set(home.ledger(), programme)
    parameters = {
        "rows": len(data),
        "data_sha256": data.sha256,
        "programme_digest": programme.digest,
        "seed": settings.seed,
        "folds": settings.folds,
        "repeats": settings.repeats,
        "actions": len(data.catalogue),
        "policy": settings.policy,
        "encore_version": __version__,
    }
    tags = {"encore.step": "train", "encore.simulated": str(programme.simulated).lower()}
    with tracking.run(programme, f"train {now:%Y-%m-%d %H:%M}", parameters=parameters, tags=tags) as mlflow:
        run_id = mlflow.active_run().info.run_id
        challenger = build_challenger(data, programme, settings, now=now, run_id=run_id, learners=learners, tell=tell)
        bundle = home.bundles.write(challenger.manifest, challenger.arrays)
        folder = home.bundles.root / bundle.version
        shutil.copyfile(home.programme_path, folder / "programme.toml")
        tell("logging to MLflow")
        _log(mlflow, challenger, bundle)
        tracking.log_figures(mlflow, figures(data, challenger.chosen, programme, seed=settings.seed))
        model_version = tracking.register(mlflow, bundle, folder, programme, example=json.dumps(data.contexts[0]))
    return Trained(challenger, bundle, len(data), run_id, model_version)


def _log(mlflow: Any, challenger: Challenger, bundle: Bundle) -> None:
    chosen = challenger.chosen
    for candidate in challenger.candidates:
        with mlflow.start_run(run_name=candidate.name, nested=True, tags={"encore.step": "candidate"}):
            mlflow.log_params({"learner": candidate.name, "complexity": candidate.complexity})
            mlflow.set_tag("encore.chosen", str(candidate is chosen).lower())
            if candidate.failure:
                mlflow.set_tag("encore.failure", candidate.failure)
            else:
                mlflow.log_metrics(candidate_metrics(candidate))
    mlflow.log_metrics(candidate_metrics(chosen))
    mlflow.set_tags(
        {"encore.bundle": bundle.version, "encore.chosen": chosen.name, "encore.because": challenger.because}
    )
