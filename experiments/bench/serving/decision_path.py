"""The full durable decision beside the no-op endpoint, on this disk and on slower ones."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from decision.wiring import Home
from experiments.bench.serving import slow_fsync
from experiments.bench.serving.bench import Bench, checked
from experiments.bench.serving.measure import Meter
from experiments.bench.serving.report import Bar, Claim, Figures, Findings, Line, ratios
from experiments.bench.serving.servers import Launch, encore, noop, running
from experiments.bench.serving.world import questions

SECTION = "closed loop"
DELAYS_MS = (1, 5)
OF_NOOP = Bar(at_least=0.35)
DECISION = "decision"


def decision_path(bench: Bench) -> Findings:
    """Return what the no-op endpoint and the decision do under as much load as the connections bring."""
    with bench.home() as (home, key), tempfile.TemporaryDirectory(dir=bench.folder) as temporary:
        empty = _checkpointed_bytes(home)
        slower, skipped = _slower(Path(temporary))
        launches = [noop(bench.size), encore(home, bench.size)]
        launches += [_delayed(encore(home, bench.size), name, environment) for name, environment in slower.items()]
        with ExitStack() as servers:
            meters = {
                launch.name: Meter(
                    servers.enter_context(running(launch, logs=bench.folder)),
                    # The no-op gets the same key, byte for byte the same requests, and looks at none of it.
                    questions(key),
                    connections=bench.settings.connections,
                )
                for launch in launches
            }
            rounds = bench.rounds({name: meter.closed for name, meter in meters.items()})
        floor = meters.pop("noop")
        found = checked(list(meters.values()), home=home, beside=[floor])
        grown = (_checkpointed_bytes(home) - empty) / max(found.acknowledged, 1)
        syncs = [
            Claim.of(SECTION, f"fsync, {name}", [slow_fsync.fsync_us(bench.folder, environment)], unit="µs")
            for name, environment in slower.items()
        ]
    return msgspec.structs.replace(
        found,
        lines=tuple(Line.of(SECTION, name, figures) for name, figures in rounds.items()),
        claims=(*_claims(rounds), *syncs, Claim.of(SECTION, "a decision on disk", [grown], unit="bytes")),
        skipped=skipped,
    )


def _slower(folder: Path) -> tuple[dict[str, Mapping[str, str]], tuple[str, ...]]:
    """Return the environments of slower disks by name, or why there are none."""
    try:
        shim = slow_fsync.build(folder)
    except slow_fsync.SlowDiskUnavailable as reason:
        return {}, (f"slower disks. {reason}",)
    return {f"{DECISION}, fsync + {ms} ms": slow_fsync.delayed_by(ms, shim) for ms in DELAYS_MS}, ()


def _delayed(launch: Launch, name: str, environment: Mapping[str, str]) -> Launch:
    return Launch(name, launch.command, launch.ready, environment)


def _claims(rounds: Mapping[str, tuple[Figures, ...]]) -> list[Claim]:
    floor, decided = rounds["noop"], rounds[DECISION]
    claims = [
        Claim.of(SECTION, "decision / no-op, answers a second", ratios(decided, floor, "per_second"), bar=OF_NOOP),
        Claim.of(SECTION, "decision / no-op, p99", ratios(decided, floor, "p99_ms")),
        Claim.of(SECTION, "decision / no-op, CPU", ratios(decided, floor, "cpu_us")),
    ]
    return claims + [
        Claim.of(SECTION, f"{name} / no-op, answers a second", ratios(figures, floor, "per_second"))
        for name, figures in rounds.items()
        if name not in ("noop", DECISION)
    ]


def _checkpointed_bytes(home: Home) -> int:
    """Return the size of the ledger once all of it is in its main file."""
    with closing(sqlite3.connect(home.ledger_path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return home.ledger_path.stat().st_size
