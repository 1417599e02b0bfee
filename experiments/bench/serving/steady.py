"""A steady rate of questions: latencies from the moment each was due, with and without silent connections beside."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import msgspec

from experiments.bench.serving.bench import Bench, checked
from experiments.bench.serving.measure import Meter
from experiments.bench.serving.report import Bar, Claim, Findings, Line, ratios
from experiments.bench.serving.servers import encore, noop, running
from experiments.bench.serving.world import questions

IDLE = 64
# Silent connections may cost nothing; noise may.
UNDELAYED = Bar(at_most=1.5)


def steady(bench: Bench) -> Findings:
    """Return latencies at a fixed rate."""
    rate, section = bench.settings.rate, f"open loop, {bench.settings.rate:g} a second"
    with bench.home() as (home, key), ExitStack() as servers:
        floor, decision = (
            Meter(
                servers.enter_context(running(launch, logs=bench.folder)),
                questions(key),
                connections=bench.settings.connections,
            )
            for launch in (noop(bench.size), encore(home, bench.size))
        )
        alone, beside = "decision", f"decision, {IDLE} silent connections"
        rounds = bench.rounds(
            {
                "noop": partial(floor.open, rate=rate),
                alone: partial(decision.open, rate=rate),
                beside: partial(decision.open, rate=rate, idle=IDLE),
            }
        )
        found = checked([decision], home=home, beside=[floor])
    return msgspec.structs.replace(
        found,
        lines=tuple(Line.of(section, name, figures) for name, figures in rounds.items()),
        claims=(
            Claim.of(
                section,
                f"{IDLE} silent connections / none, p99",
                ratios(rounds[beside], rounds[alone], "p99_ms"),
                bar=UNDELAYED,
            ),
        ),
    )
