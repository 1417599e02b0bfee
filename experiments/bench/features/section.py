"""Everybody's features from Parquet to Parquet, beside the same table in pandas: time and peak memory in one run."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from decision.errors import EncoreError
from experiments.bench.features.agreement import differences
from experiments.bench.features.world import AS_OF, write_lines
from experiments.bench.serving.bench import Bench
from experiments.bench.serving.report import Bar, Claim, Findings

SECTION = "features"
FASTER, LIGHTER = Bar(at_least=5.0), Bar(at_most=0.5)
GIGABYTE = 1e9
SEED = 5


def features(bench: Bench, *, customers: int) -> Findings:
    """Return time and memory for everybody's features, each in a process of its own; both must agree."""
    with tempfile.TemporaryDirectory(dir=bench.folder, prefix="features-") as temporary:
        folder = Path(temporary)
        lines = folder / "lines.parquet"
        n = write_lines(lines, customers=customers, seed=SEED)
        bench.tell(f"  {n:,} order lines of {customers:,} customers")
        found = {name: _run(name, lines, folder, bench) for name in ("encore", "pandas")}
        wrong = differences(folder / "encore.parquet", folder / "pandas.parquet")
    (ours, our_peak), (theirs, their_peak) = found["encore"], found["pandas"]
    size = f"{customers / 1e6:g}M customers"
    claims = (
        Claim.of(SECTION, f"features of {size}: Encore", [ours], unit="s"),
        Claim.of(SECTION, f"features of {size}: pandas", [theirs], unit="s"),
        Claim.of(SECTION, "features, time: pandas / Encore", [theirs / ours], bar=FASTER),
        Claim.of(SECTION, f"features of {size}: Encore's peak", [our_peak / GIGABYTE], unit="GB"),
        Claim.of(SECTION, f"features of {size}: pandas' peak", [their_peak / GIGABYTE], unit="GB"),
        Claim.of(SECTION, "features, peak memory: Encore / pandas", [our_peak / their_peak], bar=LIGHTER),
    )
    return Findings(claims=claims, errors={f"{name} differs from pandas": rows for name, rows in wrong.items()})


def _run(name: str, lines: Path, folder: Path, bench: Bench) -> tuple[float, float]:
    """Return seconds and peak bytes of one implementation."""
    command = [sys.executable, "-W", "ignore", "-m", f"experiments.bench.features.by_{name}"]
    arguments = [str(lines), AS_OF.isoformat(), str(folder / f"{name}.parquet")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EncoreError(f"Expected {name}'s features, found that it ended with {done.returncode}: {done.stderr}")
    found = json.loads(done.stdout)
    bench.tell(f"  {name}: {found['seconds']:.1f} s, peak {found['peak_bytes'] / GIGABYTE:.2f} GB")
    return found["seconds"], found["peak_bytes"]
