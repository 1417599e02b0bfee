"""The table of features as `encore features compute` makes it.

python -m experiments.bench.features.by_encore LINES.parquet AS_OF OUT.parquet
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from experiments.bench.features.measured import measured
from experiments.features.catalogue import catalogue
from experiments.features.compute import Engine
from experiments.features.feature import Over
from experiments.features.sources import Everybody


def compute(lines_path: Path, as_of: datetime, out: Path) -> None:
    """Read order lines, write the features that are made of them."""
    features = [f for f in catalogue(()) if f.over not in (Over.CONTACTS, Over.VISITS)]
    engine = Engine.start()
    engine.write(engine.inputs_of_parquet(lines_path), Everybody(as_of), features, out)


if __name__ == "__main__":
    measured(compute)
