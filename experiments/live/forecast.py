"""When what is not told apart yet is expected to be, if it is as large as it looks and customers come as they do."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, timedelta

from experiments.ab.effect import Effect
from experiments.ab.plans import Plan, level_now
from experiments.ab.tails import quantile

LOOK_BACK_DAYS = 28
# Nobody plans further.
FURTHEST_DAYS = 3 * 365


def per_day(arrivals: Counter[tuple[date, str]], groups: tuple[str, ...], *, today: date) -> float:
    """Return how many new customers of some groups came a day of late, of whole days."""
    days = sorted(day for (day, _) in arrivals if day < today)
    if not days:
        return 0.0
    since = max(days[0], today - timedelta(days=LOOK_BACK_DAYS))
    count = sum(n for (day, group), n in arrivals.items() if group in groups and since <= day < today)
    return count / max((today - since).days, 1)


def told_apart_at(effect: Effect, plan: Plan, units: int, rate: float, *, today: date) -> date | None:
    """Return the day on which an effect of this size is told from 0; None where that is beyond three years.

    `effect` has the standard error of so many units; it falls with their root, while the interval of the plan is some
    multiple of it.
    """

    def told(days: int) -> bool:
        then = units + rate * days
        level = level_now(plan, int(then))
        error = effect.standard_error * math.sqrt(units / then)
        return level is not None and abs(effect.estimate) > quantile(1 - level / 2) * error

    low, high = 0, FURTHEST_DAYS
    if rate <= 0 or not told(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if told(middle) else (middle + 1, high)
    return today + timedelta(days=low)
