"""When a second purchase comes: Kaplan-Meier (1958) from first to second, and the day by which she should be back."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.records import FloatArray
from experiments.behaviour.enough import AGAIN, CUSTOMERS, SECOND_PURCHASE
from experiments.behaviour.journal import Journal
from experiments.behaviour.state import state_at

# Of those who come back at all, four in five have by then.
SHARE = 0.8
# Beyond, too few are watched for the curve to mean anything.
LEAST_WATCHED = 30
REPLICATES = 200


@dataclass(frozen=True, slots=True)
class SecondPurchase:
    """Share that has bought again by `days` [n]: `returned` with its 95 % interval, of `customers` first-time buyers.

    `deadline` is the day by which `SHARE` of those who return within the days watched have returned, with its 95 %
    bootstrap interval. Later than that, a first-time buyer is late.
    """

    days: FloatArray
    returned: FloatArray
    low: FloatArray
    high: FloatArray
    customers: int
    deadline: int
    deadline_low: int
    deadline_high: int

    def sentence(self) -> str:
        """Return it for a person."""
        return (
            f"Four in five of those who return have done so by day {self.deadline} "
            f"[{self.deadline_low}, {self.deadline_high}]; within {self.days[-1]:.0f} days "
            f"{100 * self.returned[-1]:.0f} % of {self.customers:,} customers return."
        )


def second_purchase(journal: Journal, cut: int, *, seed: int) -> SecondPurchase:
    """Return the curve as of the day `cut`; who has not returned yet is censored there. Raises `NotEnoughData`."""
    waited, returned = waits(journal.before(cut), cut)
    verdict = SECOND_PURCHASE.verdict({CUSTOMERS: len(waited), AGAIN: int(returned.sum())})
    if not verdict.enough:
        raise NotEnoughData(verdict.why, hint=f"Used instead: {verdict.rule}.")
    return curve_of(waited, returned, seed=seed)


def waits(journal: Journal, cut: int) -> tuple[FloatArray, FloatArray]:
    """Return each customer's days from her first to her second purchase, or to the cut (0 in the second array)."""
    rows = journal.bought
    who, day = journal.customer[rows], journal.day[rows]
    starts = np.flatnonzero(np.concatenate([[True], who[1:] != who[:-1]])) if len(who) else np.zeros(0, np.int64)
    counts = np.diff(np.concatenate([starts, [len(who)]]))
    again = counts > 1
    second = np.where(again, day[np.minimum(starts + 1, len(day) - 1)], cut)
    return (second - day[starts]).astype(float), again.astype(float)


def curve_of(waited: FloatArray, returned: FloatArray, *, seed: int) -> SecondPurchase:
    """Return the curve of waits [N], `returned` 1 where the wait ended in a purchase."""
    from scipy.stats import CensoredData, ecdf

    sample = CensoredData.right_censored(waited, returned < 0.5)
    survival = ecdf(sample).sf
    with warnings.catch_warnings():
        # Before the first return, and after the last, there is none: that is said by what follows.
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = survival.confidence_interval(0.95, method="log-log")
    watched = len(waited) - np.searchsorted(np.sort(waited), survival.quantiles, side="left")
    kept = np.flatnonzero(watched >= min(LEAST_WATCHED, len(waited)))
    days = survival.quantiles[kept]
    came = 1.0 - survival.probabilities[kept]
    last = float(days[-1])
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, len(waited), len(waited)) for _ in range(REPLICATES))
    deadlines = [_deadline(waited[i], returned[i], last) for i in drawn]
    low, high = np.quantile(deadlines, [0.025, 0.975])
    return SecondPurchase(
        days=days,
        returned=came,
        low=1.0 - np.nan_to_num(bounds.high.probabilities[kept], nan=1.0),
        high=1.0 - np.nan_to_num(bounds.low.probabilities[kept], nan=1.0),
        customers=len(waited),
        deadline=round(_deadline(waited, returned, last)),
        deadline_low=round(float(low)),
        deadline_high=round(float(high)),
    )


def _deadline(waited: FloatArray, returned: FloatArray, last: float) -> float:
    """Return the day by which `SHARE` of those who return by the day `last` have returned."""
    days, place = np.unique(waited, return_inverse=True)
    events = np.bincount(place, returned)
    at_risk = len(waited) - np.concatenate([[0], np.cumsum(np.bincount(place))[:-1]])
    came = 1.0 - np.cumprod(1.0 - events / at_risk)
    within = days <= last
    total = came[within][-1] if within.any() else 0.0
    reached = np.flatnonzero(came >= SHARE * total)
    return float(days[reached[0]])


def late_first_timers(journal: Journal, cut: int, found: SecondPurchase) -> FloatArray:
    """Return the places in the journal's names of those who bought once and are past the deadline."""
    state = state_at(journal, cut)
    return np.asarray(state.customer[(state.purchases == 1) & (state.silence > found.deadline)])
