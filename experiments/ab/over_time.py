"""How an effect came to be what it is: estimated anew on the units that were assigned until each day.

The band is always-valid whatever the plan, as whoever sees all days has looked on all of them. Nothing of a day knows
what came after it: also the value at which a metric is cut is that of the units so far.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from decision.errors import NotEnoughData
from experiments.ab.always_valid import AlwaysValid
from experiments.ab.analyse import estimate, how_many_randomised, in_one_arm
from experiments.ab.case import Case, Metric, Role
from experiments.ab.effect import Confidence, Effect
from experiments.ab.metric_columns import columns_of_metric
from experiments.ab.units import Units

MOST_DAYS = 40
_UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Point:
    """What was known on a day: the effect with its always-valid interval, of so many units of all arms."""

    day: date
    units: int
    effect: Effect


@dataclass(frozen=True, slots=True)
class Series:
    """A metric's effect on an arm by day; days on which nothing could be said yet are left out."""

    metric: Metric
    arm: str
    points: tuple[Point, ...]


def effects_over_time(
    case: Case, units: Units, *, known_after_days: float = 0.0, tell: Callable[[str], None] = lambda _: None
) -> tuple[Series, ...]:
    """Return the primary metrics' effects by day, at most `MOST_DAYS` of them; none where no unit has a day.

    `known_after_days` is how long after its assignment a unit was measured: it counts from then on. Units without a day
    count with the last, so that it holds what the analysis does.
    """
    units = in_one_arm(case, units)
    assigned = _assigned(case, units)
    days = np.unique(assigned[assigned != _UNKNOWN])
    if not len(days):
        return ()
    assigned = np.where(assigned == _UNKNOWN, days[-1], assigned)
    shown = days[np.unique(np.linspace(0, len(days) - 1, min(len(days), MOST_DAYS)).round().astype(int))]
    found: dict[tuple[str, str], list[Point]] = {}
    primary = [metric for metric in case.metrics if metric.role is Role.PRIMARY]
    later = timedelta(days=known_after_days)
    for day in shown.tolist():
        tell(f"looking back to {day}")
        so_far = units.where(assigned <= day)
        for metric in primary:
            for arm, effect, n in _known(case, so_far, metric):
                found.setdefault((metric.name, arm), []).append(Point(date.fromisoformat(day) + later, n, effect))
    named = {metric.name: metric for metric in primary}
    return tuple(Series(named[name], arm, tuple(points)) for (name, arm), points in found.items())


def _known(case: Case, units: Units, metric: Metric) -> list[tuple[str, Effect, int]]:
    columns = columns_of_metric(units, case, metric, case.units.strata)
    seen = how_many_randomised(columns)
    found = []
    for number, arm in enumerate(case.arms.treatments, start=1):
        try:
            fixed = estimate(case, columns, number, Confidence(case.plan.alpha))[2]
        except NotEnoughData:
            continue
        found.append((arm, AlwaysValid(case.plan.units, case.plan.alpha).at(fixed, seen), seen))
    return found


def _assigned(case: Case, units: Units) -> NDArray[np.str_]:
    """Return the day [n] on which what was randomised came in: the first of all its rows."""
    if not len(units.day) or not case.units.cluster:
        return units.day
    days, code = np.unique(units.day, return_inverse=True)
    ids, place = np.unique(units.texts[case.units.cluster], return_inverse=True)
    # "unknown" is sorted after every date.
    first = np.full(len(ids), len(days) - 1)
    np.minimum.at(first, place, code)
    found: NDArray[np.str_] = days[first][place]
    return found
