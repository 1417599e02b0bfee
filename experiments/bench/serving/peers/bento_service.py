"""The scorer as a service of BentoML; `SCORER_ARRAYS` names its arrays."""

from __future__ import annotations

import os
from pathlib import Path

import bentoml
import numpy as np

from experiments.bench.serving.peers.scorer import Scorer


@bentoml.service(workers=int(os.environ.get("SCORER_WORKERS", "2")))
class Service:
    """Takes rows, gives scores."""

    def __init__(self) -> None:
        """Read the arrays."""
        self.scorer = Scorer(Path(os.environ["SCORER_ARRAYS"]))

    @bentoml.api  # type: ignore[untyped-decorator]
    def score(self, rows: list[list[float]]) -> list[list[list[float]]]:
        """Return visit, repurchase and basket of every action."""
        found: list[list[list[float]]] = self.scorer.score(np.asarray(rows, dtype=float)).tolist()
        return found
