"""Predictions as `encore customers score --lines` makes them, by the newest models beside the lines.

python -m experiments.bench.scored.by_encore LINES.parquet AS_OF OUT.parquet
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from experiments.behaviour import store
from experiments.behaviour.commands import FOLDER
from experiments.behaviour.journal import day_of
from experiments.behaviour.models import score
from experiments.bench.features.measured import measured
from experiments.customers.lines import history_of_lines
from experiments.customers.run import scored, write_parquet


def compute(lines_path: Path, as_of: datetime, out: Path) -> None:
    """Read order lines and models, write what is predicted of everybody."""
    models, day = store.newest(lines_path.parent / FOLDER), day_of(as_of.date())
    write_parquet(scored(score(models, history_of_lines(lines_path), day), models, day), out)


if __name__ == "__main__":
    measured(compute)
