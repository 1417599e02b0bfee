"""What a run found: a line for everything that was put under load, and a claim for everything that has a bar."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime

import msgspec

from experiments.bench.serving.machine import Machine


class Figures(msgspec.Struct, frozen=True):
    """What one entry did: answers per second, latencies in milliseconds, server CPU in microseconds an answer."""

    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    cpu_us: float


class Line(msgspec.Struct, frozen=True):
    """An entry's median over the rounds, figure by figure, and the rounds themselves."""

    section: str
    name: str
    median: Figures
    rounds: tuple[Figures, ...]

    @classmethod
    def of(cls, section: str, name: str, rounds: Sequence[Figures]) -> Line:
        """Return the line of at least one round."""
        columns = zip(*map(msgspec.structs.astuple, rounds), strict=True)
        return cls(section, name, Figures(*map(statistics.median, columns)), tuple(rounds))


class Bar(msgspec.Struct, frozen=True):
    """What is asked of a median: to lie within these."""

    at_least: float | None = None
    at_most: float | None = None


class Claim(msgspec.Struct, frozen=True):
    """A figure that travels or has a bar: its median, and the lowest and highest over the rounds."""

    section: str
    name: str
    median: float
    low: float
    high: float
    unit: str
    bar: Bar | None

    @classmethod
    def of(cls, section: str, name: str, values: Sequence[float], *, unit: str = "x", bar: Bar | None = None) -> Claim:
        """Return a claim on at least one value."""
        return cls(section, name, statistics.median(values), min(values), max(values), unit, bar)

    @property
    def held(self) -> bool | None:
        """Return whether what is asked is so, None when nothing is."""
        if self.bar is None:
            return None
        low, high = self.bar.at_least, self.bar.at_most
        return (low is None or self.median >= low) and (high is None or self.median <= high)


class Settings(msgspec.Struct, frozen=True):
    """How it was measured: `seconds` is the length of each measurement, `rate` how many a second in an open loop."""

    seconds: float
    rounds: int
    connections: int
    workers: int
    threads: int
    rate: float


class Findings(msgspec.Struct, frozen=True):
    """What one section found. `skipped` are sentences on what could not be measured here.

    `acknowledged` counts decisions that a server said it recorded, warm-up included; `lost` those of them that the
    ledger does not hold afterwards. `client_busy` is the highest share of its time that the load itself worked.
    """

    lines: tuple[Line, ...] = ()
    claims: tuple[Claim, ...] = ()
    skipped: tuple[str, ...] = ()
    errors: dict[str, int] = {}
    acknowledged: int = 0
    lost: int = 0
    client_busy: float = 0.0


class Report(msgspec.Struct, frozen=True):
    """A run of all sections."""

    at: datetime
    settings: Settings
    machine: Machine
    findings: dict[str, Findings]

    @property
    def sound(self) -> bool:
        """Return whether every request was answered well and nothing acknowledged was lost."""
        return not any(found.errors or found.lost for found in self.findings.values())


def ratios(top: Sequence[Figures], bottom: Sequence[Figures], figure: str) -> list[float]:
    """Return top / bottom of a figure round by round: inside a round the machine is the same."""
    return [getattr(over, figure) / getattr(under, figure) for over, under in zip(top, bottom, strict=True)]
