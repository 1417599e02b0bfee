"""What a case can hope to find: its metrics' own variance, its traffic, and each kind of plan beside the other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

from decision.errors import InvalidInput, NotEnoughData
from experiments.ab.arm_figure import ArmFigure, adjusted_figures
from experiments.ab.case import Case, Metric, MetricKind, Outlook, Role
from experiments.ab.metric_columns import columns_of_metric
from experiments.ab.multiplicity import Correction
from experiments.ab.planning import Forecast, Traffic, day_after, forecast, smallest_effect
from experiments.ab.plans import Plan, PlanKind
from experiments.ab.power import Design
from experiments.ab.units import Units
from experiments.ab.words import percent, plain, signed

_STEPS = 30
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
    InvalidInput : an arm would have fewer than two units, or an effect leaves no share.
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
        end
        for row in rows
        for one in row.forecasts
        if one.plan.kind is case.plan.kind and (end := day_after(case.outlook.starts, one.days)) is not None
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
    _require_units(case, arm)
    alone = _design(case, metric, treatment / control, level)
    pair = replace(case.plan, units=case.plan.units * both, alpha=alone.alpha)
    traffic = Traffic(outlook.traffic.units_per_day * both, outlook.traffic.window_days)
    found = []
    if metric.name in outlook.effects:
        effect = outlook.effects[metric.name]
        design = _with_effect(metric, alone, level, effect)
        for kind in PlanKind:
            looks = () if kind is not PlanKind.GROUP_SEQUENTIAL else (case.plan.looks or _FOUR_LOOKS)
            one = forecast(replace(pair, kind=kind, looks=looks), design, effect, traffic, outlook.power)
            # Arms that are not compared here fill up meanwhile: a plan counts the units of all.
            found.append(
                replace(
                    one,
                    plan=replace(one.plan, units=one.plan.units / both),
                    units=math.ceil(one.units / both),
                    expected_units=one.expected_units / both,
                )
            )
    return MetricOutlook(metric.name, arm, level.raw, _smallest(metric, pair, alone, level, outlook), tuple(found))


def _require_units(case: Case, arm: str) -> None:
    for name in (case.arms.control, arm):
        units = case.plan.units * case.arms.shares[name]
        if units < 2:
            raise InvalidInput(
                f"Expected two units or more in every arm, found {units:g} for {name!r} of the plan's "
                f"{case.plan.units:,.0f}.",
                hint="Plan more units, or give the arm a larger share.",
            )


def _design(case: Case, metric: Metric, ratio: float, level: ArmFigure) -> Design:
    sd = math.sqrt(level.variance * level.n)
    if not sd > 0:
        raise NotEnoughData(f"Planning needs past units that vary, found {level.raw:g} for {metric.name} in all.")
    return Design(sd, sd, ratio, _alpha(case, metric))


def _with_effect(metric: Metric, design: Design, level: ArmFigure, effect: float) -> Design:
    """Return the design with the treated units' own spread: a share that is moved varies more, or less."""
    if metric.kind is not MetricKind.PROPORTION:
        return design
    share, moved = level.raw, level.raw + effect
    if not 0 < moved < 1:
        raise InvalidInput(
            f"Expected an effect on {metric.name} that leaves a share between 0 and 1, found {effect:g} on {share:g}.",
            hint="Effects on shares are in points: 0.01 is one of a hundred units more.",
        )
    return replace(design, treatment_sd=design.control_sd * math.sqrt(moved * (1 - moved) / (share * (1 - share))))


def _smallest(metric: Metric, plan: Plan, design: Design, level: ArmFigure, outlook: Outlook) -> float:
    """Return the smallest effect; of a share towards one half, where it is harder to see, in a few steps."""
    found = smallest_effect(plan, design, outlook.power)
    if metric.kind is not MetricKind.PROPORTION:
        return found
    sign = 1 if level.raw < 0.5 else -1
    for _ in range(_STEPS):
        if not 0 < level.raw + sign * found < 1:
            break
        moved = _with_effect(metric, design, level, sign * found)
        before, found = found, smallest_effect(plan, moved, outlook.power)
        if abs(found - before) < 1e-6 * before:
            break
    return found


def _alpha(case: Case, metric: Metric) -> float:
    """Return the level with which planning is safe: shared evenly, whatever the correction takes in the end."""
    if case.correction is Correction.NONE or metric.role is Role.GUARDRAIL:
        return case.plan.alpha
    alike = sum(one.role is metric.role for one in case.metrics) * len(case.arms.treatments)
    return case.plan.alpha / alike
