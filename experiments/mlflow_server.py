"""How to start MLflow's pages on the project's database, lightly: one worker, no job runner."""

from __future__ import annotations

import os
import sys

from experiments.tracking import database, tracking_uri


def command(host: str, port: int) -> list[str]:
    """Return the command line of the server."""
    artifacts = database().parent / "artifacts"
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        tracking_uri(),
        "--default-artifact-root",
        artifacts.as_uri(),
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]


def environment() -> dict[str, str]:
    """Return the environment of the server."""
    return {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
