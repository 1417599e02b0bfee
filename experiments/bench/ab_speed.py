"""Two arms with one covariate, in memory: ours beside tea-tasting on polars, each in a process of its own.

Run by `experiments.bench.ab`; what it prints is JSON for that.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 5
Data = tuple[np.ndarray, np.ndarray, np.ndarray]


def data(n: int) -> Data:
    """Return spend, spend of the period before, and arm, float64[n], float64[n], int8[n]."""
    rng = np.random.default_rng(7)
    before = rng.gamma(2.0, 10.0, n)
    spend = rng.normal(0.0, 10.0, n)
    spend += before
    arm = (rng.random(n) < 0.5).astype(np.int8)
    spend += 0.05 * arm
    return spend, before, arm


def ours(n: int) -> Callable[[], float]:
    """Return what estimates the effect from arrays."""
    from experiments.ab.arm_figure import adjusted_figures
    from experiments.ab.effect import absolute_effect
    from experiments.ab.moments import by_arm

    spend, before, arm = data(n)
    return lambda: absolute_effect(*adjusted_figures(*by_arm([spend, before], arm, 2))).estimate


def tea_tasting(n: int) -> Callable[[], float]:
    """Return what estimates the effect from polars' columns."""
    import polars
    import tea_tasting

    spend, before, arm = data(n)
    frame = polars.DataFrame({"spend": spend, "before": before, "variant": arm})
    del spend, before, arm
    metric = tea_tasting.Mean("spend", "before")
    return lambda: float(metric.analyze(frame, 0, 1, "variant").effect_size)


def duckdb(n: int, folder: Path) -> Callable[[], float]:
    """Return what estimates the effect from a Parquet file; the file is written in pieces where it is not there."""
    import duckdb as engine

    from experiments.ab.arm_figure import adjusted_figures
    from experiments.ab.effect import absolute_effect
    from experiments.ab.from_duckdb import moments_by_arm, relation

    path = folder / f"ab-{n}.parquet"
    if not path.exists():
        _write(path, n)

    def estimate() -> float:
        with engine.connect() as connection:
            found = moments_by_arm(relation(connection, path), "arm", ["spend", "before"])
        return absolute_effect(*adjusted_figures(found["0"], found["1"])).estimate

    return estimate


def _write(path: Path, n: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    piece = min(n, 2_000_000)
    spend, before, arm = data(piece)
    table = pa.table({"spend": spend, "before": before, "arm": arm})
    path.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(n // piece):
            writer.write_table(table)


def main(arguments: list[str]) -> None:
    """Print seconds of the best of some repeats, the process's peak in MiB, what it was before, and the estimate."""
    name, n = arguments[0], int(arguments[1])
    sources: dict[str, Callable[[], Any]] = {
        "ours": lambda: ours(n),
        "tea_tasting": lambda: tea_tasting(n),
        "duckdb": lambda: duckdb(n, Path(arguments[2])),
    }
    estimate = sources[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = []
    for _ in range(1 if name == "duckdb" else REPEATS):
        start = time.perf_counter()
        found = estimate()
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(seconds), "peak_mib": peak, "before_mib": before, "estimate": found}))


if __name__ == "__main__":
    main(sys.argv[1:])
