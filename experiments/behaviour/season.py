"""The year's wave in buying, and weeks in which a shop was closed: a level that no customer's own history tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments.behaviour.journal import EPOCH, Journal

YEAR = 365.25
# Half a wave must have been seen to tell its height, a whole one to tell where it peaks and how narrow the peak is.
DAYS_FOR_HEIGHT, DAYS_FOR_PEAK = 180, 365
# A Christmas of six weeks needs four waves: with one, a shop that lives from it is thought closed in April.
WAVES = 4
# A week with a tenth of what is usual is one in which the shop was closed, where ten purchases are usual.
USUAL = 10
CLOSED = 0.1
# 1970-01-01 is the turn of a year, where most shops' wave peaks.
_TURN = (date(1970, 1, 1) - EPOCH).days


@dataclass(frozen=True, slots=True)
class Season:
    """Log-hazard of a purchase over the year: cosine and sine of a wave from the turn of the year.

    `shorter` are cosine and sine of waves that come two, three, … times a year; they shape the peak.
    """

    cosine: float = 0.0
    sine: float = 0.0
    shorter: tuple[float, ...] = ()

    def height(self, day: Any) -> Any:
        """Return what a day adds to the log of the hazard."""
        heights = np.array([self.cosine, self.sine, *self.shorter])
        return waves(day, len(heights) // 2) @ heights

    def clock(self, first: int, last: int) -> FloatArray:
        """Return seasonal time at the start of each day from `first` to `last` + 1: a busy day is a long one."""
        lengths = np.exp(self.height(np.arange(first, last + 1)))
        return np.concatenate([[0.0], np.cumsum(lengths)])

    def sentence(self) -> str:
        """Return what it says, for a person."""
        swing = 100.0 * (np.exp(np.ptp(self.height(np.arange(366)))) - 1.0)
        if swing < 1.0:
            return "No yearly wave was estimated: the history is shorter than half a year, or flat."
        return f"The hazard of a purchase is {swing:.0f} % higher at its yearly peak than at its low."


def waves(day: Any, number: int = WAVES) -> FloatArray:
    """Return cosine and sine of waves that come once, twice, … a year, shape [..., 2 * number]."""
    angle = 2.0 * np.pi * (np.asarray(day, float) - _TURN) / YEAR
    return np.stack([turn(k * angle) for k in range(1, number + 1) for turn in (np.cos, np.sin)], axis=-1)


def known_waves(span_days: int) -> int:
    """Return how many columns of `waves` a history of so many days tells: none, the year's height (1), or all."""
    return 2 * WAVES if span_days >= DAYS_FOR_PEAK else 1 if span_days >= DAYS_FOR_HEIGHT else 0


def closed_weeks(journal: Journal, starts: list[int], *, length: int) -> set[int]:
    """Return the weeks, by their first day, in which the shop was closed, by its own usual number of purchases."""
    days = np.sort(journal.day[journal.bought])
    counts = {start: int(np.diff(np.searchsorted(days, [start, start + length]))[0]) for start in starts}
    usual = float(np.median(list(counts.values()))) if counts else 0.0
    return {start for start, n in counts.items() if usual >= USUAL and n < CLOSED * usual}
