"""The policy as `encore train` registers it: `python -m …peers.mlflow_policy BUNDLE PROGRAMME FOLDER` saves it."""

from __future__ import annotations

import sys
from pathlib import Path

import mlflow.pyfunc

from experiments import tracking


def main(bundle: str, programme: str, folder: str) -> None:
    """Save the model of a bundle and a programme to a folder."""
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(Path(tracking.__file__).with_name("served.py")),
        artifacts={"bundle": bundle, "programme": programme},
        pip_requirements=["encore"],
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
