"""The policy as an MLflow model: contexts in, values and odds of every action out. Loaded by path, not imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from decision.bundle.store import BundleStore
from decision.programme.read import load_programme
from decision.records import action_named
from decision.serving import champion_from


class ServedPolicy(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Reads one column `context` of JSON objects, as the ledger keeps them."""

    def load_context(self, context: Any) -> None:
        """Load the bundle and the programme that were logged with the model."""
        folder = Path(context.artifacts["bundle"])
        version = json.loads((folder / "manifest.json").read_text())["version"]
        bundle = BundleStore(folder.parent).read(version) if folder.name == version else _unfiled(folder, version)
        self.champion = champion_from(bundle)
        self.programme = load_programme(Path(context.artifacts["programme"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return a row per context: `value.<action>` and `repurchase.<action>`."""
        del context, params
        rows = []
        for text in model_input["context"]:
            facts = json.loads(text)
            actions = [action_named(a) for a in self.champion.manifest.actions]
            goal = self.programme.goal_of(facts.get("store"))
            valued = self.champion.value(self.programme, goal, allowed=actions, context=facts)
            row = {f"value.{a.action_id}": v for a, v in zip(actions, valued.value, strict=True)}
            row |= {f"repurchase.{a.action_id}": p for a, p in zip(actions, valued.repurchase, strict=True)}
            rows.append(row)
        return pd.DataFrame(rows)


def _unfiled(folder: Path, version: str) -> Any:
    """Read a bundle whose folder MLflow has renamed."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(folder, Path(scratch) / version)
        return BundleStore(Path(scratch)).read(version)


mlflow.models.set_model(ServedPolicy())
