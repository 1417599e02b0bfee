"""One page: from a case and its units to what can be said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from decision.errors import NotEnoughData
from experiments.ab.analysis import Analysis, MetricResult, Refusal, Segments
from experiments.ab.arm_figure import ArmFigure
from experiments.ab.bayes import posterior
from experiments.ab.case import Case, Metric, MetricKind, Role
from experiments.ab.checks import checks_of
from experiments.ab.clusters import by_cluster
from experiments.ab.effect import (
    Confidence,
    Effect,
    RelativeMethod,
    absolute_effect,
    from_logs,
    log_ratio,
    relative_effect,
)
from experiments.ab.heterogeneity import shrunk
from experiments.ab.metric_columns import MetricColumns, columns_of_metric, names_of_segments, strata_of
from experiments.ab.moments import by_arm
from experiments.ab.money import Money, money
from experiments.ab.multiplicity import adjusted
from experiments.ab.noninferiority import GuardrailReading, Safety, guarded
from experiments.ab.plans import Reading, level_now, read
from experiments.ab.soundness import Check, seen_in_two_arms
from experiments.ab.strata import post_stratified
from experiments.ab.units import Units
from experiments.ab.verdicts import verdicts_of

MOST_SEGMENTS = 30
RANDOMISED = (
    "Units were put into arms at random, so that the difference between arms is what the treatment caused; the checks "
    "say whether that can be believed."
)


def analyse(
    case: Case,
    units: Units,
    *,
    claim: str = RANDOMISED,
    known: tuple[Check, ...] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Analysis:
    """Return what can be said of a case; `known` are checks that were made elsewhere.

    Raises
    ------
    InvalidInput : the units contradict the case.
    """
    tell("checking soundness")
    checks = (*known, *checks_of(case, units))
    units = in_one_arm(case, units)
    results: list[MetricResult] = []
    refusals: list[Refusal] = []
    for metric in case.metrics:
        tell(f"estimating {metric.name}")
        columns = columns_of_metric(units, case, metric, case.units.strata)
        for number, arm in enumerate(case.arms.treatments, start=1):
            try:
                results.append(_result(case, columns, number, arm))
            except NotEnoughData as error:
                refusals.append(Refusal(metric, arm, str(error)))
    results = _corrected(case, results)
    level = level_now(case.plan, _randomised_units(case, units))
    return Analysis(
        case,
        claim,
        units.counts,
        units.left_out,
        checks,
        tuple(results),
        tuple(refusals),
        tuple(_segments(case, units, level, tell)) if level else (),
        _money(case, units, level) if level else {},
        verdicts_of(case, checks, results, refusals),
    )


def in_one_arm(case: Case, units: Units) -> Units:
    """Return the units without those that were seen in two arms."""
    ids = case.units.cluster or case.units.unit
    return units.where(~seen_in_two_arms(units.texts[ids], units.arm)) if ids else units


def _result(case: Case, columns: MetricColumns, number: int, arm: str) -> MetricResult:
    metric, confidence = columns.metric, Confidence(case.plan.alpha)
    control, treatment, fixed = estimate(case, columns, number, confidence)
    seen = how_many_randomised(columns)
    absolute = read(case.plan, fixed, seen)
    relative, reason = _relative(case, (control, treatment), metric, seen)
    return MetricResult(
        metric,
        arm,
        control,
        treatment,
        absolute,
        relative,
        reason,
        None,
        _guardrail(metric, absolute, relative),
        posterior(fixed, case.prior) if case.prior is not None and metric.role is Role.PRIMARY else None,
    )


def estimate(
    case: Case, columns: MetricColumns, number: int, confidence: Confidence
) -> tuple[ArmFigure, ArmFigure, Effect]:
    """Return control's figure, that of the arm with this number, and their difference with the interval of one look.

    Raises `NotEnoughData`.
    """
    if case.units.strata and columns.metric.kind is not MetricKind.QUANTILE:
        found = post_stratified(
            strata_of(columns, 0),
            strata_of(columns, number),
            metric_columns=columns.metric_columns,
            confidence=confidence,
        )
        return found.control, found.treatment, found.effect
    control, treatment = columns.figures(number)
    return control, treatment, absolute_effect(control, treatment, confidence)


def _randomised_units(case: Case, units: Units) -> int:
    return len(set(units.texts[case.units.cluster].tolist())) if case.units.cluster else len(units)


def how_many_randomised(columns: MetricColumns) -> int:
    """Return how many of what was randomised there are in all arms, which is what plans count."""
    return len(columns.arm) if columns.cluster is None else len(set(columns.cluster.tolist()))


def _relative(case: Case, arms: tuple[ArmFigure, ArmFigure], metric: Metric, seen: int) -> tuple[Reading | None, str]:
    confidence = Confidence(case.plan.alpha)
    try:
        if metric.relative is RelativeMethod.DELTA:
            return read(case.plan, relative_effect(*arms, confidence), seen), ""
        # A plan makes it wider where it is normal, which is on the logarithm.
        reading = read(case.plan, log_ratio(*arms, confidence), seen)
        return replace(reading, effect=from_logs(reading.effect)), ""
    except NotEnoughData as error:
        return None, str(error)


def _guardrail(metric: Metric, absolute: Reading, relative: Reading | None) -> GuardrailReading | None:
    if metric.margin is None:
        return None
    reading = relative if metric.margin.relative else absolute
    if reading is None:
        return GuardrailReading(Safety.OPEN, float("nan"), metric.margin.tolerated)
    return guarded(reading.effect, margin=metric.margin.tolerated, better=metric.better)


def _corrected(case: Case, results: list[MetricResult]) -> list[MetricResult]:
    """Correct p-values for the metrics and arms of the same role."""
    found = list(results)
    for role in (Role.PRIMARY, Role.SECONDARY):
        places = [k for k, result in enumerate(results) if result.metric.role is role]
        p = adjusted([results[k].absolute.effect.p_value for k in places], case.correction)
        for k, value in zip(places, p, strict=True):
            found[k] = replace(results[k], adjusted_p_value=value)
    return found


def _segments(case: Case, units: Units, level: float, tell: Callable[[str], None]) -> list[Segments]:
    found = []
    for dimension in case.units.dimensions:
        tell(f"looking into {dimension}")
        for metric in case.metrics:
            if metric.role is not Role.PRIMARY:
                continue
            columns = columns_of_metric(units, case, metric, dimension)
            parts = {
                name: columns.where(columns.label == name) for name in names_of_segments(columns.label, MOST_SEGMENTS)
            }
            for number, arm in enumerate(case.arms.treatments, start=1):
                each = {name: _segment(part, number, level) for name, part in parts.items()}
                known = {name: effect for name, effect in each.items() if effect is not None}
                if len(known) > 1:
                    effects = shrunk(dimension, known, level)
                    found.append(Segments(metric.name, arm, effects, effects.p_value))
    p = adjusted([one.effects.p_value for one in found], case.correction)
    return [replace(one, adjusted_p_value=value) for one, value in zip(found, p, strict=True)]


def _segment(columns: MetricColumns, number: int, alpha: float) -> Effect | None:
    try:
        return absolute_effect(*columns.figures(number), Confidence(alpha))
    except NotEnoughData:
        return None


def _money(case: Case, units: Units, level: float) -> Mapping[str, Money]:
    if case.money is None:
        return {}
    margin = units.numbers[case.money.margin]
    cost = units.numbers[case.money.cost] if case.money.cost else 0 * margin
    if case.units.cluster:
        rows = by_cluster(units.texts[case.units.cluster], units.arm, [margin, cost])
        arms = by_arm(list(rows.sums.T), rows.arm, len(units.arms))
    else:
        arms = by_arm([margin, cost], units.arm, len(units.arms))
    found = {}
    for number, arm in enumerate(case.arms.treatments, start=1):
        try:
            found[arm] = money(arms[0], arms[number], Confidence(level))
        except NotEnoughData:
            continue
    return found
