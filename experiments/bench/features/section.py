"""Everybody's features from Parquet to Parquet, beside the same table in pandas: time and peak memory in one run."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from decision.errors import EncoreError
from experiments.bench.features.agreement import differences
from experiments.bench.features.world import AS_OF, write_lines
from experiments.bench.serving.bench import Bench
from experiments.bench.serving.report import Bar, Claim, Findings

SECTION = "features"
FASTER, LIGHTER = Bar(at_least=5.0), Bar(at_most=0.5)
GIGABYTE = 1e9
SEED = 5
# Below, starting and planning are most of it.
LARGE = 1_000_000


class Cost(msgspec.Struct, frozen=True):
    """What one implementation took; the peak is of its whole process."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def features(bench: Bench, *, customers: int) -> Findings:
    """Return time and memory for everybody's features, each in a process of its own; both must agree."""
    with tempfile.TemporaryDirectory(dir=bench.folder, prefix="features-") as temporary:
        folder = Path(temporary)
        lines = folder / "lines.parquet"
        n = write_lines(lines, customers=customers, seed=SEED)
        bench.tell(f"  {n:,} order lines of {customers:,} customers")
        found = {name: _run(name, lines, folder, bench) for name in ("encore", "pandas")}
        wrong = differences(folder / "encore.parquet", folder / "pandas.parquet")
    size = f"features of {customers / 1e6:g}M customers"
    return Findings(
        claims=tuple(_claims(size, found["encore"], found["pandas"], has_bars=customers >= LARGE)),
        errors={f"{name} differs from pandas": rows for name, rows in wrong.items()},
    )


def _claims(size: str, ours: Cost, theirs: Cost, *, has_bars: bool) -> Iterator[Claim]:
    for name, cost in (("Encore", ours), ("pandas", theirs)):
        yield Claim.of(SECTION, f"{size}, {name}", [cost.seconds], unit="s")
        yield Claim.of(SECTION, f"{size}, {name}: CPU", [cost.cpu_seconds], unit="s")
        yield Claim.of(SECTION, f"{size}, {name}: peak memory", [cost.peak_bytes / GIGABYTE], unit="GB")
    yield Claim.of(
        SECTION, "features, time: pandas / Encore", [theirs.seconds / ours.seconds], bar=FASTER if has_bars else None
    )
    # Where others work on the machine, this is what travels.
    yield Claim.of(SECTION, "features, CPU: pandas / Encore", [theirs.cpu_seconds / ours.cpu_seconds])
    peaks = ours.peak_bytes / theirs.peak_bytes
    yield Claim.of(SECTION, "features, peak memory: Encore / pandas", [peaks], bar=LIGHTER if has_bars else None)


def _run(name: str, lines: Path, folder: Path, bench: Bench) -> Cost:
    """Return what one implementation took."""
    command = [sys.executable, "-W", "ignore", "-m", f"experiments.bench.features.by_{name}"]
    arguments = [str(lines), AS_OF.isoformat(), str(folder / f"{name}.parquet")]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EncoreError(f"Expected {name}'s features, found that it ended with {done.returncode}: {done.stderr}")
    found = msgspec.json.decode(done.stdout, type=Cost)
    bench.tell(f"  {name}: {found.seconds:.1f} s, CPU {found.cpu_seconds:.1f} s, {found.peak_bytes / GIGABYTE:.2f} GB")
    return found
