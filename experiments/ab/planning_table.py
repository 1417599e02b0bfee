"""What a case can hope to find: its metrics' own variance, its traffic, and each kind of plan beside the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

from decision.errors import NotEnoughData
from experiments.ab.arm_figure import ArmFigure, adjusted_figures
from experiments.ab.case import Case, Metric, MetricKind, Outlook, Role
from experiments.ab.metric_columns import columns_of_metric
from experiments.ab.multiplicity import Correction
from experiments.ab.planning import Forecast, Traffic, forecast, smallest_effect
from experiments.ab.plans import Plan, PlanKind
from experiments.ab.power import Design
from experiments.ab.units import Units
from experiments.ab.words import percent, plain, signed

_FOUR_LOOKS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class MetricOutlook:
    """A metric of an arm: what its planned units find, and what an effect that matters would take, by kind of plan.

    `level` is control's figure so far. `units` count all arms.
    """

    metric: str
    arm: str
    level: float
    smallest: float
    forecasts: tuple[Forecast, ...]


@dataclass(frozen=True, slots=True)
class Outlooks:
    """All of a case. `in_time` is None without a day by which to answer."""

    case: str
    plan: Plan
    starts: date
    answer_by: date | None
    rows: tuple[MetricOutlook, ...]
    in_time: bool | None

    def lines(self) -> Iterator[str]:
        """Yield the table for a terminal."""
        yield self.plan.sentence
        for row in self.rows:
            share = f" ({percent(row.smallest / abs(row.level))} of {plain(row.level)})" if row.level else ""
            yield ""
            yield f"{row.metric}, {row.arm}: {self.plan.units:,.0f} units find {signed(row.smallest)}{share} or more"
            for one in row.forecasts:
                yield f"  {one.plan.kind.value:17} {one.sentence(self.starts)}"
        if self.answer_by is not None:
            yield ""
            said = "can" if self.in_time else "can't"
            yield f"This test {said} answer by {self.answer_by}."


def outlooks_of(case: Case, units: Units) -> Outlooks:
    """Return what a case can hope to find, from units of the past taken as one group.

    Raises
    ------
    NotEnoughData : the case has no table [planning], or nothing varies.
    """
    if case.outlook is None:
        raise NotEnoughData(
            "Planning needs the table [planning] in the case, found none.", hint="It says starts and units_per_day."
        )
    rows = [
        _row(case, case.outlook, metric, arm, _figure(case, metric, units))
        for metric in case.metrics
        if metric.kind is not MetricKind.QUANTILE
        for arm in case.arms.treatments
    ]
    by = case.outlook.answer_by
    ends = [
        case.outlook.starts + timedelta(days=math.ceil(one.days))
        for row in rows
        for one in row.forecasts
        if one.plan.kind is case.plan.kind and one.days < 100_000
    ]
    due = [one for row in rows for one in row.forecasts if one.plan.kind is case.plan.kind]
    in_time = None if by is None or not due else len(ends) == len(due) and all(end <= by for end in ends)
    return Outlooks(case.name, case.plan, case.outlook.starts, by, tuple(rows), in_time)


def _figure(case: Case, metric: Metric, units: Units) -> ArmFigure:
    columns = columns_of_metric(units, case, metric)
    everybody = columns.moments(1)[0]
    return adjusted_figures(everybody, everybody, metric_columns=columns.metric_columns)[0]


def _row(case: Case, outlook: Outlook, metric: Metric, arm: str, level: ArmFigure) -> MetricOutlook:
    control, treatment = case.arms.shares[case.arms.control], case.arms.shares[arm]
    both = control + treatment
    sd = math.sqrt(level.variance * level.n)
    design = Design(sd, sd, treatment / control, _alpha(case, metric))
    pair = replace(case.plan, units=case.plan.units * both, alpha=design.alpha)
    traffic = Traffic(outlook.traffic.units_per_day * both, outlook.traffic.window_days)
    found = []
    if metric.name in outlook.effects:
        for kind in PlanKind:
            looks = () if kind is not PlanKind.GROUP_SEQUENTIAL else (case.plan.looks or _FOUR_LOOKS)
            one = forecast(
                replace(pair, kind=kind, looks=looks), design, outlook.effects[metric.name], traffic, outlook.power
            )
            # Arms that are not compared here fill up meanwhile: a plan counts the units of all.
            found.append(
                replace(
                    one,
                    plan=replace(one.plan, units=one.plan.units / both),
                    units=math.ceil(one.units / both),
                    expected_units=one.expected_units / both,
                )
            )
    return MetricOutlook(metric.name, arm, level.raw, smallest_effect(pair, design, outlook.power), tuple(found))


def _alpha(case: Case, metric: Metric) -> float:
    """Return the level with which planning is safe: shared evenly, whatever the correction takes in the end."""
    if case.correction is Correction.NONE or metric.role is Role.GUARDRAIL:
        return case.plan.alpha
    alike = sum(one.role is metric.role for one in case.metrics) * len(case.arms.treatments)
    return case.plan.alpha / alike
