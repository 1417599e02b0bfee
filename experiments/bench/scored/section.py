"""Everybody scored: how long it takes and how much memory, and which part of it reading the lines is."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq

from decision.errors import EncoreError
from experiments.behaviour import store
from experiments.behaviour.commands import FOLDER
from experiments.behaviour.journal import day_of
from experiments.behaviour.models import Settings, fit
from experiments.bench.features.world import AS_OF, write_lines
from experiments.bench.serving.bench import Bench
from experiments.bench.serving.report import Bar, Claim, Findings
from experiments.customers.lines import history_of_lines

SECTION = "scored"
A_MILLION, A_MINUTE = 1_000_000, Bar(at_most=60.0)
TRAINED_ON = 20_000
GIGABYTE = 1e9
SEED = 5


def scored(bench: Bench, *, customers: int) -> Findings:
    """Return time and memory for everybody's predictions, in a process of its own, beside merely reading the lines."""
    with tempfile.TemporaryDirectory(dir=bench.folder, prefix="scored-") as temporary:
        folder = Path(temporary)
        some, lines = folder / "some.parquet", folder / "lines.parquet"
        write_lines(some, customers=min(TRAINED_ON, customers), seed=SEED)
        models = fit(history_of_lines(some), day_of(AS_OF.date()), Settings(seed=SEED))
        store.write(models, folder / FOLDER)
        n = write_lines(lines, customers=customers, seed=SEED)
        bench.tell(f"  {n:,} order lines of {customers:,} customers; models trained on {TRAINED_ON:,}")
        began = time.perf_counter()
        history_of_lines(lines)
        reading = time.perf_counter() - began
        seconds, cpu, peak = _run(lines, folder / "out.parquet")
        known = pq.read_metadata(folder / "out.parquet").num_rows
    size = f"{customers / A_MILLION:g}M customers"
    bench.tell(f"  {known:,} scored in {seconds:.1f} s, {cpu:.1f} s of CPU, peak {peak / GIGABYTE:.2f} GB")
    bar = {"bar": A_MINUTE} if customers >= A_MILLION else {}
    claims = (
        Claim.of(SECTION, f"{size} scored, Parquet to Parquet", [seconds], unit="s", **bar),
        Claim.of(SECTION, "scored: CPU seconds a million customers", [cpu * A_MILLION / customers], unit="s"),
        Claim.of(SECTION, f"{size} scored: peak", [peak / GIGABYTE], unit="GB"),
        Claim.of(SECTION, "scoring / reading the lines, time", [seconds / reading]),
    )
    return Findings(claims=claims, errors={} if known else {"nobody was scored": 1})


def _run(lines: Path, out: Path) -> tuple[float, float, float]:
    """Return seconds, seconds of CPU, and peak bytes."""
    command = [sys.executable, "-W", "ignore", "-m", "experiments.bench.scored.by_encore"]
    done = subprocess.run(
        [*command, str(lines), AS_OF.isoformat(), str(out)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise EncoreError(f"Expected predictions, found that it ended with {done.returncode}: {done.stderr}")
    found = json.loads(done.stdout)
    return found["seconds"], found["cpu_seconds"], found["peak_bytes"]
