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
from decision.serving import champion_from
from decision.wiring import Home
from experiments import tracking
from experiments.certainty import Certainty, certainty
from experiments.challenger import Challenger, Settings, build_challenger
from experiments.dataset import Dataset, training_set
from experiments.learners import USUAL
from experiments.learners.base import Learner
from experiments.model_card import model_card
from experiments.train_metrics import Measured, as_csv, by_fold, measure, reference_scores
from experiments.train_report import candidate_metrics, report


@dataclass(frozen=True, slots=True)
class Trained:
    """A challenger that has been written and registered: its bundle, where it is in MLflow, and how sure it is."""

    challenger: Challenger
    bundle: Bundle
    rows: int
    run_id: str
    model_version: str
    certainty: Certainty | None
    observational: int


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
        "observational_rows": int(data.observational.sum()),
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
        tell("measuring out of sample")
        measured = _log_metrics(mlflow, data, challenger, settings)
        tell("drawing plots and the policy tree")
        chosen = challenger.chosen
        used = {chosen.name: learners[chosen.name]}
        seen = report(data, chosen, programme, champion_from(bundle), used, seed=settings.seed)
        sure = certainty(data, challenger, programme, seed=settings.seed)
        tell("logging to MLflow")
        tags = {"encore.bundle": bundle.version, "encore.chosen": chosen.name, "encore.because": challenger.because}
        mlflow.set_tags(tags)
        tracking.log_metrics(mlflow, {} if sure is None else sure.metrics())
        card = model_card(
            bundle.manifest,
            data,
            programme,
            candidates=challenger.candidates,
            because=challenger.because,
            measured=measured,
            report=seen,
            certainty=sure,
        )
        tracking.log_report(mlflow, seen, card, unit=programme.currency)
        example = json.dumps(data.contexts[0])
        model_version = tracking.register(mlflow, bundle, folder, programme, example=example, card=card)
    return Trained(challenger, bundle, len(data), run_id, model_version, sure, int(data.observational.sum()))


def _log_metrics(mlflow: Any, data: Dataset, challenger: Challenger, settings: Settings) -> Measured:
    """Log every candidate as a child run, and the chosen one's metrics in the run itself, over all and by fold."""
    chosen, seed = challenger.chosen, settings.seed
    scores = reference_scores(data, challenger.candidates)
    measured = measure(data, chosen, scores, seed=seed)
    for candidate in challenger.candidates:
        with mlflow.start_run(run_name=candidate.name, nested=True, tags={"encore.step": "candidate"}):
            mlflow.log_params({"learner": candidate.name, "complexity": candidate.complexity})
            mlflow.set_tag("encore.chosen", str(candidate is chosen).lower())
            if candidate.failure:
                mlflow.set_tag("encore.failure", candidate.failure)
                continue
            found = measured if candidate is chosen else measure(data, candidate, scores, seed=seed, replicates=100)
            tracking.log_metrics(mlflow, {**found.entries(), **candidate_metrics(candidate, data.customers)})
    tracking.log_metrics(mlflow, {**measured.entries(), **candidate_metrics(chosen, data.customers)})
    folds = by_fold(data, chosen, scores, folds=settings.folds, seed=seed)
    for number, part in enumerate(folds, start=1):
        tracking.log_metrics(mlflow, part.entries("by_fold/"), step=number)
    mlflow.log_text(as_csv(measured, folds), "metrics.csv")
    return measured
