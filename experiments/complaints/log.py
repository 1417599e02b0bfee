"""Findings of reviews in MLflow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from decision.programme.model import Programme
from experiments import tracking
from experiments.complaints.findings import Findings
from experiments.complaints.plots import by_department, worst_products


def log_findings(programme: Programme, found: Findings, *, file: Path, settings: Mapping[str, object]) -> str:
    """Log figures and plots; return the id of the run."""
    metrics = {f"share.{kind}": share for kind, share in found.shop.items()} | {"uncovered": found.uncovered}
    for name, skill in found.skills.items():
        short = name.replace("rating of at most ", "at_most_").replace(".", "_")
        for what, of in (("auc", skill.auc), ("average_precision", skill.average_precision)):
            for part, value in zip(("value", "low", "high"), of, strict=True):
                metrics[f"{short}.{what}.{part}"] = value
    metrics["problem_products"] = float(len({product for product, _ in found.problems()}))
    if found.holdout is not None:
        metrics["holdout.flagged"] = found.holdout.share_of_flagged[0]
        metrics["holdout.rest"] = found.holdout.share_of_rest[0]
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    parameters = dict(settings) | {"data_sha256": digest, "products": len(found.coded.products)}
    tags = {"encore.kind": "complaints"}
    with tracking.run(programme, "complaints", parameters=parameters, tags=tags) as mlflow:
        tracking.log_metrics(mlflow, metrics)
        figures = {"complaints_by_department": by_department(found), "worst_products": worst_products(found)}
        tracking.log_figures(mlflow, figures)
        return str(mlflow.active_run().info.run_id)
