"""RFM: recency, frequency and money in five steps each, the segments they make, and who moved between two runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from decision.records import FloatArray, IntArray

if TYPE_CHECKING:
    # Names of segments are known without what they are made from.
    from experiments.behaviour.state import State

STEPS = 5
# The first that fits names the segment: (name, recency from-to, frequency from-to, what it means).
SEGMENTS: tuple[tuple[str, tuple[int, int], tuple[int, int], str], ...] = (
    ("champions", (5, 5), (4, 5), "bought lately and often"),
    ("loyal", (3, 4), (4, 5), "buy often, not long ago"),
    ("new", (5, 5), (1, 1), "first bought lately"),
    ("promising", (4, 4), (1, 1), "first bought not long ago"),
    ("potential_loyalists", (4, 5), (2, 3), "bought lately, more than the least"),
    ("need_attention", (3, 3), (2, 3), "middling, and cooling down"),
    ("about_to_sleep", (3, 3), (1, 1), "bought once, silent for a while"),
    ("cannot_lose", (1, 2), (5, 5), "bought most often of all, and silent for long"),
    ("at_risk", (1, 2), (3, 5), "bought often, silent for long"),
    ("hibernating", (1, 2), (1, 2), "bought little, silent for long"),
)
NAMES = tuple(name for name, *_ in SEGMENTS)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What separates the five steps, [4] each: days of silence falling, purchases and money rising."""

    silence_days: FloatArray
    purchases: FloatArray
    spent: FloatArray


@dataclass(frozen=True, slots=True)
class Rfm:
    """Steps 1 to 5 of each customer, [N], and her segment as a place in `NAMES`, [N]."""

    recency: IntArray
    frequency: IntArray
    money: IntArray
    segment: IntArray


def thresholds_of(state: State) -> Thresholds:
    """Return quintiles of the customers there are.

    Purchases are few and often equal: one is always step 1, and the other steps are quarters of those who bought more.
    """
    shares = np.arange(1, STEPS) / STEPS
    often = state.purchases[state.purchases > 1]
    counted = np.quantile(often, (0.25, 0.5, 0.75)) if len(often) else np.array([2.0, 3.0, 4.0])
    # Above each threshold is a step more; one purchase is below all.
    steps = np.maximum.accumulate(np.concatenate([[1.0], counted]))
    return Thresholds(np.quantile(state.silence, shares), steps, np.quantile(state.spent, shares))


def rfm_of(state: State, thresholds: Thresholds) -> Rfm:
    """Return every customer's steps and segment by thresholds, which may be an earlier run's."""
    recency = STEPS - np.searchsorted(thresholds.silence_days, state.silence, side="left")
    frequency = 1 + np.searchsorted(thresholds.purchases, state.purchases, side="left")
    money = 1 + np.searchsorted(thresholds.spent, state.spent, side="left")
    segment = np.full(len(recency), -1)
    for place, (_, (r_low, r_high), (f_low, f_high), _) in enumerate(SEGMENTS):
        fits = (recency >= r_low) & (recency <= r_high) & (frequency >= f_low) & (frequency <= f_high)
        segment[fits & (segment < 0)] = place
    return Rfm(recency, frequency, money, segment)


def migration(before: Mapping[str, str], now: Mapping[str, str]) -> tuple[Sequence[str], Sequence[str], IntArray]:
    """Return how many customers moved from which segment (rows; `not yet` is new ones) to which (columns).

    Both map customers to names of segments; who is no longer there is left out.
    """
    rows, columns = ("not yet", *NAMES), NAMES
    counts = np.zeros((len(rows), len(columns)), np.int64)
    for customer, segment in now.items():
        counts[rows.index(before.get(customer, "not yet")), columns.index(segment)] += 1
    return rows, columns, counts
