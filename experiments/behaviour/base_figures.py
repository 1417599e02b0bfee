"""Base-level figures for the marketer: gap, basket, purchases, value, returns, repeat buyers, by segment and month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray, IntArray
from experiments.behaviour.journal import Journal, date_of
from experiments.behaviour.predictions import Predictions
from experiments.behaviour.shares import Z, wilson_of_mean
from experiments.behaviour.state import state_at

QUARTERS = (0.25, 0.5, 0.75)
SHARES = ("return_rate", "repeat_buyers")
FIGURES = ("gap_days", "basket", "purchases", "clv", "return_rate", "repeat_buyers")


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over n customers: its mean with a 95 % interval, and quartiles. NaN where nobody has it."""

    n: int
    mean: float
    low: float
    high: float
    quarters: tuple[float, float, float]

    @classmethod
    def of(cls, values: FloatArray) -> Spread:
        """Return the spread of what is known; NaN is not."""
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(0, *(float("nan"),) * 3, (float("nan"),) * 3)
        half = Z * float(known.std(ddof=1)) / len(known) ** 0.5 if len(known) > 1 else float("nan")
        mean = float(known.mean())
        first, middle, third = np.quantile(known, QUARTERS).tolist()
        return cls(len(known), mean, mean - half, mean + half, (first, middle, third))

    @classmethod
    def of_shares(cls, values: FloatArray) -> Spread:
        """Return the spread of values from 0 to 1; the interval of their mean stays there too."""
        found = cls.of(values)
        if not found.n:
            return found
        low, high = wilson_of_mean(values[np.isfinite(values)])
        return cls(found.n, found.mean, low, high, found.quarters)


def by_segment(journal: Journal, predictions: Predictions, day: int) -> Mapping[str, Mapping[str, Spread]]:
    """Return `FIGURES` of all customers and of each RFM segment, as of the day that the predictions hold for."""
    state = state_at(journal, day)
    n = len(journal.names)
    rows = (journal.day < day) & journal.bought
    orders = np.bincount(journal.customer[rows], journal.orders[rows], minlength=n)[state.customer]
    gap = (state.tenure - state.silence) / np.maximum(state.purchases - 1.0, 1.0)
    clv = predictions.table["clv"].to_numpy().astype(float)
    values = {
        "gap_days": np.where(state.purchases > 1, gap, np.nan),
        "basket": state.spent / np.maximum(orders, 1.0),
        "purchases": state.purchases,
        "clv": clv,
        "return_rate": np.minimum(state.returned / state.spent, 1.0),
        "repeat_buyers": (state.purchases > 1).astype(float),
    }
    segments = np.array(predictions.table["rfm"].to_pylist())
    groups = {"all": np.ones(len(segments), bool)} | {name: segments == name for name in sorted(set(segments))}
    of = {figure: Spread.of_shares if figure in SHARES else Spread.of for figure in FIGURES}
    return {name: {figure: of[figure](values[figure][who]) for figure in FIGURES} for name, who in groups.items()}


def by_month(journal: Journal, day: int) -> tuple[Sequence[str], Mapping[str, FloatArray]]:
    """Return the months, and of each: customers who bought, purchases, basket, return rate, share of repeat buyers.

    A repeat buyer of a month has bought on an earlier day. The first and last month may be cut short.
    """
    known = journal.before(day)
    months = np.array([f"{date_of(one):%Y-%m}" for one in range(known.first_day, known.last_day + 1)])
    names, of_day = np.unique(months, return_inverse=True)
    month: IntArray = of_day[known.day - known.first_day]
    n = len(names)
    bought = known.bought
    first = np.full(len(known.names), np.iinfo(np.int64).max)
    np.minimum.at(first, known.customer[bought], known.day[bought])
    again = known.day > first[known.customer]
    purchases = np.bincount(month[bought], minlength=n).astype(float)
    orders = np.bincount(month, known.orders, minlength=n)
    ordered = np.bincount(month, known.amount, minlength=n)
    repeat = np.bincount(month[bought], again[bought].astype(float), minlength=n)
    people = np.array([len(np.unique(known.customer[bought & (month == m)])) for m in range(n)], float)
    returned = np.bincount(month, known.returned, minlength=n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return names.tolist(), {
            "customers who bought": people,
            "purchase days": purchases,
            "basket": ordered / orders,
            "came back, % of ordered": 100.0 * returned / ordered,
            "purchases by repeat buyers, %": 100.0 * repeat / purchases,
        }
