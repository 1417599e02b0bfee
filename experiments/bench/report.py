"""Rounds into medians, ratios and a table."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

import msgspec

from experiments.bench.machine import Machine


class Figures(msgspec.Struct, frozen=True):
    """What one endpoint did: answers per second, latencies in milliseconds, server CPU in microseconds an answer."""

    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


class Round(msgspec.Struct, frozen=True):
    """The two endpoints one right after the other; a ratio is taken inside a round, where the machine is the same."""

    noop: Figures
    decision: Figures


class Settings(msgspec.Struct, frozen=True):
    """How it was measured. `seconds` is the length of each measurement; there are two a round."""

    seconds: float
    rounds: int
    connections: int
    workers: int
    threads: int


class Report(msgspec.Struct, frozen=True):
    """A run. Medians over the rounds; `ratio` is decision / noop, the median of the rounds' own ratios.

    `acknowledged` counts decisions that a server said it recorded, warm-up included; `lost` those of them that the
    ledger does not hold afterwards. `bytes_per_decision` is the growth of the checkpointed ledger file.
    `client_busy` is the highest share of its time that the load generator itself worked.
    """

    at: datetime
    settings: Settings
    machine: Machine
    noop: Figures
    decision: Figures
    ratio: Figures
    rounds: tuple[Round, ...]
    errors: dict[str, int]
    acknowledged: int
    lost: int
    bytes_per_decision: float
    client_busy: float

    @property
    def sound(self) -> bool:
        """Return whether every request was answered well and nothing acknowledged was lost."""
        return not self.errors and self.lost == 0


def median(figures: Iterable[Figures]) -> Figures:
    """Return the median of each figure by itself."""
    return Figures(*(statistics.median(column) for column in zip(*map(msgspec.structs.astuple, figures), strict=True)))


def ratio(rounds: Sequence[Round]) -> Figures:
    """Return the median over the rounds of decision / noop."""
    return median(_over(each.decision, each.noop) for each in rounds)


def _over(top: Figures, bottom: Figures) -> Figures:
    pairs = zip(msgspec.structs.astuple(top), msgspec.structs.astuple(bottom), strict=True)
    return Figures(*(over / under if under else math.nan for over, under in pairs))


ROWS: tuple[tuple[str, Callable[[Figures], float], str], ...] = (
    ("answers per second", lambda f: f.per_second, ",.0f"),
    ("p50, ms", lambda f: f.p50_ms, ".2f"),
    ("p99, ms", lambda f: f.p99_ms, ".2f"),
    ("server CPU, µs an answer", lambda f: f.cpu_us, ",.0f"),
)


def table(report: Report) -> str:
    """Return the run as a person reads it."""
    settings, machine = report.settings, report.machine
    lines = [
        f"{'':26}{'no-op':>10}{'decision':>10}{'ratio':>10}",
        *(_row(name, figure, form, report) for name, figure, form in ROWS),
        "",
        f"{settings.workers} workers x {settings.threads} threads, {settings.connections} connections, "
        f"medians of {settings.rounds} rounds of 2 x {settings.seconds:g} s; "
        f"client at most {report.client_busy:.0%} busy",
        f"{report.bytes_per_decision:,.0f} bytes a decision on disk; fsync of this disk {machine.fsync_us:,.0f} µs",
        f"{report.acknowledged:,} decisions acknowledged, {report.lost:,} lost, {_named(report.errors)}",
        f"{machine.processor} x {machine.cores}, {machine.system}",
        " · ".join(f"{name} {number}" for name, number in machine.versions.items()),
    ]
    return "\n".join(lines)


def _row(name: str, figure: Callable[[Figures], float], form: str, report: Report) -> str:
    noop, decision = figure(report.noop), figure(report.decision)
    return f"{name:26}{noop:>10{form}}{decision:>10{form}}{figure(report.ratio):>10.3g}"


def _named(errors: dict[str, int]) -> str:
    return ", ".join(f"{count:,} x {name}" for name, count in sorted(errors.items())) or "no errors"


def together(errors: Iterable[dict[str, int]]) -> dict[str, int]:
    """Return counts added up by name."""
    total: Counter[str] = Counter()
    for each in errors:
        total.update(each)
    return dict(total)
