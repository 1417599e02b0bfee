"""What growth costs: more customers, and a ledger that holds many decisions already."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial

from decision.errors import EncoreError
from decision.records import Decision
from decision.wiring import Home
from experiments.bench.serving.bench import Bench, checked
from experiments.bench.serving.fill import fill
from experiments.bench.serving.measure import Meter
from experiments.bench.serving.report import Bar, Claim, Figures, Findings, Line, ratios
from experiments.bench.serving.servers import encore, running
from experiments.bench.serving.world import questions

FLAT = Bar(at_most=1.5)
# `a decision on disk` in the table, with some room.
BYTES_A_DECISION = 5_000
SEED_SECONDS = 0.2


def growth(bench: Bench, *, customers: Sequence[int], past: int) -> Findings:
    """Return latencies at a steady rate for ledgers of growing size; the last holds `past` decisions too."""
    section, rate = f"growth, open loop, {bench.settings.rate:g} a second", bench.settings.rate
    sizes = [(number, 0) for number in customers] + [(customers[-1], past)] * (past > 0)
    skipped = []
    if past * BYTES_A_DECISION > (free := shutil.disk_usage(bench.folder).free):
        sizes.pop()
        skipped.append(
            f"{past:,} past decisions. They take up to {past * BYTES_A_DECISION:,} bytes, {free:,} are free."
        )
    meters: dict[str, tuple[Meter, Home]] = {}
    with ExitStack() as up:
        for number, of_the_past in sizes:
            home, key = up.enter_context(bench.home())
            name = f"{number:,} customers, {of_the_past:,} past decisions"
            bench.tell(f"  filling: {name}")
            fill(home, customers=number, past=of_the_past, like=_decided(bench, home, key), tell=bench.tell)
            server = up.enter_context(running(encore(home, bench.size), logs=bench.folder))
            asked = questions(key, customers=number)
            meters[name] = Meter(server, asked, connections=bench.settings.connections), home
        rounds = bench.rounds({name: partial(meter.open, rate=rate) for name, (meter, _) in meters.items()})
        found = [checked([meter], home=home) for meter, home in meters.values()]
    return Findings(
        lines=tuple(Line.of(section, name, figures) for name, figures in rounds.items()),
        claims=tuple(_claims(section, rounds)),
        skipped=tuple(skipped),
        errors=dict(sum((Counter(each.errors) for each in found), Counter())),
        acknowledged=sum(each.acknowledged for each in found),
        lost=sum(each.lost for each in found),
        client_busy=max(each.client_busy for each in found),
    )


def _decided(bench: Bench, home: Home, key: str) -> Decision:
    """Return a decision as the service makes it."""
    with running(encore(home, bench.size), logs=bench.folder) as server:
        meter = Meter(server, questions(key), connections=1)
        meter.closed(SEED_SECONDS)
    with closing(home.ledger()) as ledger:
        decision = ledger.decision(meter.measured[0].acknowledged[0])
    if decision is None:
        raise EncoreError("Expected the decision that was just acknowledged, found none.")
    return decision


def _claims(section: str, rounds: Mapping[str, Sequence[Figures]]) -> list[Claim]:
    smallest, *larger = rounds
    return [
        Claim.of(section, f"{figure[:3]}: {name}, / fewest", ratios(rounds[name], rounds[smallest], figure), bar=FLAT)
        for name in larger
        for figure in ("p50_ms", "p99_ms")
    ]
