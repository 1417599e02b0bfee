"""An analysis as lines for a terminal: verdicts first, then soundness, effects, guardrails, money, segments."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.ab.analysis import Analysis, MetricResult
from experiments.ab.case import Role
from experiments.ab.ledger_actions import CLAIM, ActionEffect
from experiments.ab.money import Money
from experiments.ab.tails import p_value_in_words
from experiments.ab.words import MARKS, change, corrected, figure, percent, shows, signed, spoken, within


def lines_of(analysis: Analysis) -> Iterator[str]:
    """Yield the report."""
    case = analysis.case
    for check in analysis.failed:
        yield f"NOT SOUND, {check.name}: {check.sentence}"
    for verdict in analysis.verdicts:
        yield verdict.sentence
    yield ""
    yield f"plan       {case.plan.sentence}"
    yield "units      " + ", ".join(f"{name} {count:,}" for name, count in analysis.counts.items())
    if analysis.left_out:
        yield "left out   " + ", ".join(f"{count:,} rows of {name!r}" for name, count in analysis.left_out.items())
    yield f"claim      {analysis.claim}"
    yield ""
    yield "soundness"
    for check in analysis.checks:
        p = "" if check.p_value is None else f" (p = {check.p_value:.2g})"
        yield f"  {MARKS[check.finding]:7}{check.name}: {check.sentence}{p}"
    for role in Role:
        yield from _role(analysis, role)
    for refusal in analysis.refusals:
        yield f"  {refusal.metric.name}, {refusal.arm}: no figure. {refusal.reason}"
    for arm, found in analysis.money.items():
        yield from _money(arm, found, case.money.currency if case.money else "")
    yield from _segments(analysis)


def lines_of_actions(effects: tuple[ActionEffect, ...], currency: str) -> Iterator[str]:
    """Yield the comparison of actions, below the one of groups."""
    yield ""
    yield f"actions against control, {currency} per decision"
    for one in sorted(effects, key=lambda one: -one.effect.estimate if one.effect else float("inf")):
        shown = within(one.effect) if one.effect else one.reason
        if one.effect and one.adjusted_p_value is not None:
            p = p_value_in_words(one.effect.log_p_value)
            shown += f"  p = {p}, {corrected(one.adjusted_p_value)} corrected for all actions"
        yield f"  {one.action:34} {one.decisions:>8,} drawn  {shown}"
    yield f"  {CLAIM}"


def _role(analysis: Analysis, role: Role) -> Iterator[str]:
    results = [result for result in analysis.results if result.metric.role is role]
    if not results:
        return
    yield ""
    yield f"{role.value} metrics"
    for result in results:
        yield from _metric(analysis, result)


def _metric(analysis: Analysis, result: MetricResult) -> Iterator[str]:
    kind, control = result.metric.kind, analysis.case.arms.control
    if result.absolute.too_early:
        # A figure that must not be read yet is not shown: whoever has seen it has looked.
        yield f"  {result.metric.name}, {result.arm}: not to be read yet, {result.absolute.units:,} units are there"
        return
    yield f"  {result.metric.name}, {result.arm}: {change(result)}"
    yield f"    {figure(kind, result.treatment.value)} against {figure(kind, result.control.value)} of {control}"
    if result.adjusted_p_value is not None:
        p = p_value_in_words(result.absolute.effect.log_p_value)
        rule = spoken(analysis.case.correction.value)
        yield f"    p = {p}, {corrected(result.adjusted_p_value)} after {rule}"
    if result.metric.covariates:
        yield f"    CUPED by {', '.join(result.metric.covariates)}: {percent(-result.variance_removed)} variance"
    if result.guardrail and result.metric.margin:
        show = shows(result.metric.margin)
        worst, tolerated = show(result.guardrail.worst), show(result.guardrail.margin).lstrip("+")
        yield f"    {result.guardrail.safety.value.upper()}: at worst {worst}, tolerated {tolerated}"
    if result.no_relative:
        yield f"    no relative effect: {result.no_relative}"
    if result.posterior:
        wins, loss = result.posterior.chance_to_win, result.posterior.loss_of_treatment
        yield f"    chance that the effect is above 0: {100 * wins:.1f} %; expected loss of switching {signed(loss)}"


def _money(arm: str, found: Money, currency: str) -> Iterator[str]:
    yield ""
    yield f"money, {arm}, {currency}"
    yield f"  per unit, after the cost of incentives   {within(found.net_per_unit)}"
    yield f"  over all its units                       {within(found.net_total)}"
    if found.cost_total is not None:
        yield f"  cost of the incentives                   {within(found.cost_total)}"
    if found.return_on_cost is not None:
        yield f"  net return on each unit of money         {within(found.return_on_cost)}"
    elif found.no_return:
        yield f"  no return on incentives: {found.no_return}"
    yield f"  what leaving control untreated cost      {within(found.holdout_cost)}"


def _segments(analysis: Analysis) -> Iterator[str]:
    for one in analysis.segments:
        yield ""
        found = one.effects
        yield (
            f"{one.metric}, {one.arm}, by {found.dimension}, shrunk (all alike: p = {found.p_value:.2g}, "
            f"{corrected(one.adjusted_p_value)} corrected)"
        )
        for part in found.segments:
            shown = within(part)
            yield f"  {part.segment:24} {shown:34} own {signed(part.own.estimate)}"
