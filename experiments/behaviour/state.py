"""What is known of each customer when a day begins, and how that ages while she buys nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray, IntArray
from experiments.behaviour.journal import Journal

SHORT_MEMORY, LONG_MEMORY = 30.0, 90.0
# A gap of an average customer counts as one of her own.
PRIOR_GAPS = 1.0


@dataclass(frozen=True, slots=True)
class State:
    """N customers who bought before the day `as_of`. Days on which a customer bought are her purchases.

    `customer` [N] are places in the journal's names; `silence` is days since the last purchase, `tenure` since the
    first; `spent` all of what was ordered, `biggest` and `latest` one day's; `returned` what came back; `lately` and
    `recently` count purchases, each forgotten exponentially with 30 and 90 days; `usual_gap` is days between her
    purchases, shrunk towards the shop's `typical_gap`.
    """

    as_of: int
    customer: IntArray
    purchases: FloatArray
    silence: FloatArray
    tenure: FloatArray
    spent: FloatArray
    biggest: FloatArray
    latest: FloatArray
    returned: FloatArray
    lately: FloatArray
    recently: FloatArray
    typical_gap: float

    @property
    def usual_gap(self) -> FloatArray:
        """Return days between a customer's purchases, [N]."""
        gaps = self.purchases - 1.0
        return np.asarray((self.tenure - self.silence + PRIOR_GAPS * self.typical_gap) / (gaps + PRIOR_GAPS))

    def aged(self, days: float) -> State:
        """Return the state of those who have bought nothing for some more days."""
        return State(
            self.as_of,
            self.customer,
            self.purchases,
            self.silence + days,
            self.tenure + days,
            self.spent,
            self.biggest,
            self.latest,
            self.returned,
            self.lately * np.exp(-days / SHORT_MEMORY),
            self.recently * np.exp(-days / LONG_MEMORY),
            self.typical_gap,
        )

    def where(self, keep: IntArray) -> State:
        """Return some of the customers, by place."""
        parts = {name: getattr(self, name)[keep] for name in _ARRAYS}
        return State(as_of=self.as_of, typical_gap=self.typical_gap, **parts)


_ARRAYS = (
    "customer", "purchases", "silence", "tenure", "spent", "biggest", "latest", "returned", "lately", "recently"
)  # fmt: skip


def state_at(journal: Journal, day: int) -> State:
    """Return what was known when `day` began: nothing of that day or later changes it."""
    n = len(journal.names)
    known = journal.day < day
    returned = _sums(journal.customer[known], journal.returned[known], n)
    rows = known & journal.bought
    who, when, amount = journal.customer[rows], journal.day[rows], journal.amount[rows]
    purchases = np.bincount(who, minlength=n)
    customer = np.flatnonzero(purchases)
    # Rows are sorted by customer and day: each one's are a run.
    ends = np.cumsum(purchases[customer])
    starts = ends - purchases[customer]
    age = (day - when).astype(float)
    count = purchases[customer].astype(float)
    silence, tenure = (age[ends - 1], age[starts]) if len(customer) else (np.zeros(0), np.zeros(0))
    between = float((tenure - silence).sum())
    gaps = float((count - 1).sum())
    return State(
        as_of=day,
        customer=customer,
        purchases=count,
        silence=silence,
        tenure=tenure,
        spent=_sums(who, amount, n)[customer],
        biggest=np.maximum.reduceat(amount, starts) if len(customer) else np.zeros(0),
        latest=amount[ends - 1] if len(customer) else np.zeros(0),
        returned=returned[customer],
        lately=_sums(who, np.exp(-age / SHORT_MEMORY), n)[customer],
        recently=_sums(who, np.exp(-age / LONG_MEMORY), n)[customer],
        typical_gap=between / gaps if gaps else max(float(tenure.mean()), 1.0) if len(customer) else 1.0,
    )


def _sums(who: IntArray, what: FloatArray, n: int) -> FloatArray:
    return np.asarray(np.bincount(who, what, minlength=n), float)


def first_purchase_after(journal: Journal, state: State) -> FloatArray:
    """Return days from the state's day to the next purchase, 0 for that day itself; infinite where there is none."""
    rows = (journal.day >= state.as_of) & journal.bought
    found = np.full(len(journal.names), np.inf)
    np.minimum.at(found, journal.customer[rows], (journal.day[rows] - state.as_of).astype(float))
    return np.asarray(found[state.customer])


def spent_after(journal: Journal, state: State, days: int) -> FloatArray:
    """Return what each customer ordered within so many days from the state's day on."""
    rows = (journal.day >= state.as_of) & (journal.day < state.as_of + days)
    spent = np.bincount(journal.customer[rows], journal.amount[rows], minlength=len(journal.names))
    return np.asarray(spent[state.customer])


def gaps_before(journal: Journal, day: int) -> FloatArray:
    """Return days between successive purchases of all customers, in no order, [n], as known when `day` began."""
    rows = journal.bought & (journal.day < day)
    who, when = journal.customer[rows], journal.day[rows]
    return np.asarray(np.diff(when)[who[1:] == who[:-1]], float)
