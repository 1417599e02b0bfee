"""Evaluations and trainings of recommendations in MLflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from decision.programme.model import Programme
from experiments import tracking
from experiments.recommend.evaluate import Evaluation
from experiments.recommend.plots import comparison
from experiments.recommend.purchases import Purchases
from experiments.recommend.train import Choice


def _facts(purchases: Purchases, seed: int) -> dict[str, object]:
    return {
        "seed": seed,
        "data_sha256": purchases.sha256,
        "customers": len(purchases.customers),
        "baskets": len(purchases.customer),
        "products": len(purchases.products),
    }


def metric_name(*words: str) -> str:
    """Return a name that MLflow takes."""
    return ".".join(re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_") for word in words)


def log_evaluation(programme: Programme, purchases: Purchases, evaluations: Sequence[Evaluation], *, seed: int) -> str:
    """Log tables as metrics, and the plot; return the id of the run."""
    tables = [table for evaluation in evaluations for table in evaluation.tables]
    metrics = {}
    for table in tables:
        for kind, found in (("mean", table.values), ("ahead", table.ahead)):
            for (name, metric), of in found.items():
                for what, value in (("value", of.value), ("low", of.low), ("high", of.high)):
                    metrics[metric_name(table.protocol, table.question, name, metric, kind, what)] = value
    parameters = _facts(purchases, seed) | {
        f"{evaluation.tables[0].protocol}.{name}": value
        for evaluation in evaluations
        for name, value in evaluation.settings.as_dict().items()
    }
    tags = {"encore.kind": "recommendations"}
    with tracking.run(programme, "recommend evaluate", parameters=parameters, tags=tags) as mlflow:
        tracking.log_metrics(mlflow, metrics)
        tracking.log_figures(mlflow, {metric_name(one.tables[0].protocol): comparison(one) for one in evaluations})
        return str(mlflow.active_run().info.run_id)


@contextmanager
def log_training(programme: Programme, purchases: Purchases, choice: Choice, *, seed: int) -> Iterator[str]:
    """Open the run of a training, and yield its id."""
    parameters = _facts(purchases, seed) | choice.settings.as_dict() | {"chosen_because": choice.because}
    tags = {"encore.kind": "recommendations"}
    with tracking.run(programme, "recommend train", parameters=parameters, tags=tags) as mlflow:
        yield str(mlflow.active_run().info.run_id)
