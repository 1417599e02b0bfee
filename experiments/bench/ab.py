"""Measures A/B analysis: parity with independent implementations, speed and memory beside tea-tasting.

Run it with `make bench-ab`; `--rows` and `--parquet-rows` say how much data.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.bench.ab_parity import TOLERANCE, compared
from experiments.bench.peer_environment import CHECKOUT, ONE_THREAD, PRODUCT, Environment, PeerUnavailable, cache_folder

CASES = CHECKOUT.resolve().parent / "shared" / "bench" / "ab_parity" / "consensus.json"
TEA_TASTING = Environment("tea-tasting", ("tea-tasting==1.14.0", "polars==2.1.0", "numpy==2.4.6", "pyarrow==25.0.1"))
SECONDS, MEMORY_MIB, RATIO = 0.3, 510.0, 1.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print tables."""
    options = _parser().parse_args(arguments)
    _parity(options.cases)
    _speed(options.rows)
    for n in options.parquet_rows:
        _parquet(n)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=CASES, help="file of parity cases")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows in memory")
    parser.add_argument("--parquet-rows", type=int, nargs="*", default=[10_000_000], help="rows in Parquet files")
    return parser


def _parity(path: Path) -> None:
    if not path.exists():
        print(f"parity: no cases in {path}; name a file with --cases")
        return
    rows = compared(path)
    print(f"parity: the largest relative difference of a row (bar {TOLERANCE:g})")
    for row in rows:
        print(f"  {row.id:60} {row.reason or f'{row.difference:.1e}'}{'' if row.agrees else '   NOT THERE'}")
    print(f"  {sum(row.agrees for row in rows)} of {len(rows)} rows agree")


def _speed(n: int) -> None:
    print(f"\nmean with one covariate, two arms, {n:,} rows in memory; best of five, {os.cpu_count()} cores")
    print(f"  {'':24} {'seconds':>8} {'peak MiB':>9} {'of it before':>13}")
    ours = _run(PRODUCT, "ours", n)
    _line("Encore", ours)
    try:
        theirs = _run(TEA_TASTING, "tea_tasting", n)
    except PeerUnavailable as error:
        print(f"  tea-tasting on polars: {error}")
        return
    _line("tea-tasting on polars", theirs)
    again = _run(PRODUCT, "ours", n)
    _line("Encore again", again)
    ratio = min(ours["seconds"], again["seconds"]) / theirs["seconds"]
    print(
        f"  ratio {ratio:.2f} (bar {RATIO:g}), {ours['seconds']:.2f} s (bar {SECONDS:g}), "
        f"{ours['peak_mib']:.0f} MiB (bar {MEMORY_MIB:g}); the estimates differ by "
        f"{abs(ours['estimate'] - theirs['estimate']):.1e}"
    )


def _parquet(n: int) -> None:
    found = _run(PRODUCT, "duckdb", n, str(cache_folder()))
    _line(f"Parquet, {n:,}", found)


def _line(name: str, found: dict[str, Any]) -> None:
    print(f"  {name:24} {found['seconds']:8.3f} {found['peak_mib']:9.0f} {found['before_mib']:13.0f}")


def _run(environment: Environment, *arguments: object) -> dict[str, Any]:
    """Run one side by itself, with all cores for its own threads and one for linear algebra."""
    interpreter = environment.python(lambda line: print(line, file=sys.stderr))
    command = [str(interpreter), "-m", "experiments.bench.ab_speed", *map(str, arguments)]
    variables = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        command, cwd=CHECKOUT, env={**variables, **ONE_THREAD}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()
        raise PeerUnavailable(f"Expected {arguments[0]} to run, it failed: {said[-1][:300]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
