"""The scorer as an MLflow model: `python -m experiments.bench.serving.peers.mlflow_model ARRAYS FOLDER` saves it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np

from experiments.bench.serving.peers.scorer import Scorer


class Model(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Scores what comes as a tensor: MLflow's shortest way in."""

    def load_context(self, context: Any) -> None:
        """Read the arrays."""
        self.scorer = Scorer(Path(context.artifacts["arrays"]))

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        """Return visit, repurchase and basket of every action."""
        return self.scorer.score(np.asarray(model_input, dtype=float)).tolist()


if __name__ == "__main__":
    # Pickled by name: the server imports it from the checkout.
    from experiments.bench.serving.peers.mlflow_model import Model as Named

    arrays, folder = sys.argv[1:]
    mlflow.pyfunc.save_model(folder, python_model=Named(), artifacts={"arrays": arrays}, pip_requirements=["numpy"])
