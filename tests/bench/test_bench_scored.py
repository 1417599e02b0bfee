"""The bench of scoring runs, small, and its file is what `encore customers score` writes."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

from experiments.behaviour import store
from experiments.behaviour.commands import FOLDER
from experiments.behaviour.journal import day_of
from experiments.behaviour.models import Settings, fit
from experiments.bench.features.world import AS_OF, write_lines
from experiments.customers.lines import history_of_lines


def test_it_scores_from_parquet_to_parquet(tmp_path: Path) -> None:
    lines, out = tmp_path / "lines.parquet", tmp_path / "out.parquet"
    write_lines(lines, customers=60, seed=1)
    store.write(fit(history_of_lines(lines), day_of(AS_OF.date()), Settings(seed=1)), tmp_path / FOLDER)
    command = [sys.executable, "-m", "experiments.bench.scored.by_encore", str(lines), AS_OF.isoformat(), str(out)]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert told["seconds"] > 0
    table = pq.read_table(out)
    assert 0 < table.num_rows <= 60
    assert {"rfm", "why", "as_of", "model_version"} <= set(table.column_names)
