"""Rolling snapshots: every customer at the start of every week before the cut, and whether she bought in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.records import FloatArray, IntArray
from experiments.behaviour.columns import facts
from experiments.behaviour.habit import Habit
from experiments.behaviour.journal import Journal, date_of
from experiments.behaviour.season import closed_weeks
from experiments.behaviour.state import first_purchase_after, state_at

WEEK = 7
# What is learned of the first two weeks is that everybody has just bought.
WARM_UP = 14
# Weeks further back than three years say little of today.
MOST_WEEKS = 156
MOST_ROWS = 150_000


@dataclass(frozen=True, slots=True)
class Panel:
    """n customer-weeks: `x` [n, facts], `day` the week's first, `bought` in it, `customer` a place in the journal."""

    x: FloatArray
    day: IntArray
    bought: FloatArray
    customer: IntArray

    @property
    def weeks(self) -> int:
        """Return how many weeks there are."""
        return len(np.unique(self.day))


def weeks_before(cut: int, first: int) -> list[int]:
    """Return the first days of the weeks that end at the cut, latest first, and begin after the warm-up."""
    latest = cut - WEEK
    return list(range(latest, max(first + WARM_UP, latest - MOST_WEEKS * WEEK), -WEEK))


def panel_of(journal: Journal, cut: int, habit: Habit) -> Panel:
    """Return the customer-weeks before the day `cut`, without weeks in which the shop was closed."""
    journal = journal.before(cut)
    starts = weeks_before(cut, journal.first_day)
    closed = closed_weeks(journal, starts, length=WEEK)
    x, day, bought, customer = [], [], [], []
    for start in starts:
        if start in closed:
            continue
        state = state_at(journal, start)
        x.append(facts(state, habit))
        bought.append((first_purchase_after(journal, state) < WEEK).astype(float))
        day.append(np.full(len(state.customer), start))
        customer.append(state.customer)
    if not x:
        raise NotEnoughData(
            f"Expected at least {WARM_UP + WEEK} days of purchases before {date_of(cut)}, "
            f"found {cut - journal.first_day}."
        )
    return Panel(*(np.concatenate(part) for part in (x, day, bought, customer)))


def affordable(journal: Journal, cut: int, *, seed: int) -> Journal:
    """Return the journal, or that of as many customers, drawn at random, as `MOST_ROWS` customer-weeks hold."""
    weeks = max(len(weeks_before(cut, journal.first_day)), 1)
    # Customers come one by one: about half of the weeks are after somebody's first purchase.
    return journal.of_some(2 * MOST_ROWS // weeks, seed=seed)
