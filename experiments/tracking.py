"""MLflow: where runs, plots and registered policies are kept. Nothing else writes to `mlruns/`."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from decision.bundle.store import Bundle
from decision.errors import EncoreError
from decision.programme.model import Programme
from decision.wiring import Home

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from experiments.train_report import Report

KIND = "custom_model_development"
CHAMPION, CHALLENGER = "champion", "challenger"
CARD = "model_card.md"
A_BATCH = 1_000
# What MLflow keeps as the description of a version, less the line that says where the rest is.
LONGEST_DESCRIPTION = 4_800


def database() -> Path:
    """Return where MLflow's database is when no tracking server is named."""
    return Path("mlruns").resolve() / "mlflow.db"


def tracking_uri() -> str:
    """Return $MLFLOW_TRACKING_URI, or the database in ./mlruns."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{database()}"


def model_name(programme: Programme) -> str:
    """Return the name under which the programme's policies are registered."""
    return "encore-" + re.sub(r"[^a-z0-9]+", "-", programme.name.lower()).strip("-")


def connect() -> Any:
    """Return the mlflow module, set up for the database or server; creates the database at first."""
    import logging

    import mlflow

    database().parent.mkdir(parents=True, exist_ok=True)
    # MLflow's own migrations log a screenful at the first use.
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow


@contextmanager
def run(programme: Programme, name: str, *, parameters: Mapping[str, object], tags: Mapping[str, str]) -> Iterator[Any]:
    """Open a run of a programme; what is logged inside belongs to it. Yields the mlflow module."""
    with run_in(model_name(programme), name, parameters=parameters, tags=tags) as mlflow:
        yield mlflow


@contextmanager
def run_in(experiment: str, name: str, *, parameters: Mapping[str, object], tags: Mapping[str, str]) -> Iterator[Any]:
    """Open a run in an experiment, which is created at first. Yields the mlflow module."""
    mlflow = connect()
    if mlflow.get_experiment_by_name(experiment) is None:
        artifacts = (database().parent / "artifacts").as_uri() if tracking_uri().startswith("sqlite:") else None
        # So that the pages open on training runs, not on traces of language models.
        mlflow.create_experiment(experiment, artifact_location=artifacts, tags={"mlflow.experimentKind": KIND})
    mlflow.set_experiment(experiment)
    with mlflow.start_run(run_name=name, tags=dict(tags)):
        mlflow.log_params(dict(parameters))
        yield mlflow


def log_figures(mlflow: Any, figures: Mapping[str, Figure]) -> None:
    """Log plots as PNG under `plots/`."""
    for name, figure in figures.items():
        mlflow.log_figure(figure, f"plots/{name}.png")


def log_report(mlflow: Any, report: Report, card: str, *, unit: str) -> None:
    """Log plots, the policy tree in words with its metrics, the model card, and what was installed."""
    log_figures(mlflow, report.figures)
    if report.tree is not None:
        mlflow.log_text("\n".join(report.tree.sentences(unit)) + "\n", "policy_tree.txt")
        log_metrics(mlflow, report.tree.metrics())
    else:
        mlflow.set_tag("encore.no_policy_tree", report.no_tree_because)
    mlflow.log_text(card, CARD)
    mlflow.log_text(environment(), "environment.txt")


def log_metrics(mlflow: Any, metrics: Mapping[str, float], *, step: int = 0) -> None:
    """Log metrics, however many; MLflow takes a thousand at once."""
    entries = list(metrics.items())
    for start in range(0, len(entries), A_BATCH):
        mlflow.log_metrics(dict(entries[start : start + A_BATCH]), step=step)


def environment() -> str:
    """Return Python, machine and the version of every installed package, one a line."""
    found = {str(one.metadata["Name"]).lower(): one.version for one in metadata.distributions()}
    head = [f"python=={platform.python_version()}", f"# {platform.platform()}"]
    return "\n".join([*head, *(f"{name}=={version}" for name, version in sorted(found.items()))]) + "\n"


def register(mlflow: Any, bundle: Bundle, folder: Path, programme: Programme, *, example: str, card: str) -> str:
    """Log a bundle as a model, register it with the alias `challenger`, and return its registered version.

    `example` is a context as JSON, by which MLflow tries the model before it is registered; `card` its model card in
    Markdown, which goes with the model and becomes the description of the version.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    name, actions = model_name(programme), bundle.manifest.actions
    outputs = [ColSpec("double", f"{what}.{action}") for what in ("value", "repurchase") for action in actions]
    with TemporaryDirectory() as scratch:
        (Path(scratch) / CARD).write_text(card)
        info = mlflow.pyfunc.log_model(
            name="policy",
            python_model=str(Path(__file__).with_name("served.py")),
            artifacts={
                "bundle": str(folder),
                "programme": str(folder / "programme.toml"),
                "model_card": str(Path(scratch) / CARD),
            },
            pip_requirements=["encore"],
            signature=ModelSignature(inputs=Schema([ColSpec("string", "context")]), outputs=Schema(outputs)),
            input_example={"context": [example]},
            registered_model_name=name,
        )
    client = mlflow.MlflowClient()
    version = str(info.registered_model_version)
    client.set_model_version_tag(name, version, "bundle", bundle.version)
    client.update_model_version(name, version, description=description(card))
    client.set_registered_model_alias(name, CHALLENGER, version)
    return version


def description(card: str) -> str:
    """Return as much of a model card, in whole lines, as MLflow keeps with a registered version."""
    if len(card) <= LONGEST_DESCRIPTION:
        return card
    return card[:LONGEST_DESCRIPTION].rpartition("\n")[0] + f"\n\nThe rest is in the run's `{CARD}`.\n"


def follow_champion(programme: Programme, bundle_version: str) -> str:
    """Move the alias `champion` to the model of a bundle and return its registered version.

    Raises
    ------
    EncoreError : no registered model holds this bundle.
    """
    client, name = connect().MlflowClient(), model_name(programme)
    for found in client.search_model_versions(f"name='{name}'"):
        if found.tags.get("bundle") == bundle_version:
            client.set_registered_model_alias(name, CHAMPION, found.version)
            return str(found.version)
    raise EncoreError(f"Expected a registered model of {name} with bundle {bundle_version}, found none.")


def forget_champion(programme: Programme) -> None:
    """Take the alias `champion` from the model that has it, if any."""
    connect().MlflowClient().delete_registered_model_alias(model_name(programme), CHAMPION)


def on_champion_change(home: Home, bundle_version: str | None) -> None:
    """Let the alias `champion` follow a rollback; the entry point `encore.on_champion_change` of `decision.cli`.

    None is business as usual, which is no model: nobody keeps the alias. A bundle that no run of MLflow made has no
    alias to move, and nobody gets a database by rolling back.
    """
    if "MLFLOW_TRACKING_URI" not in os.environ and not database().exists():
        return
    if bundle_version is None:
        forget_champion(home.programme())
    elif home.bundles.read(bundle_version).manifest.provenance.run_id:
        follow_champion(home.programme(), bundle_version)
