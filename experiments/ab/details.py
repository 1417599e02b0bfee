"""The parts of a page that an analyst reads: plan and claim, all figures, definitions, the case file."""

from __future__ import annotations

from experiments.ab.analysis import Analysis, MetricResult
from experiments.ab.bayes import Posterior
from experiments.ab.case import Metric
from experiments.ab.headline import doubt_of
from experiments.ab.ledger_actions import CLAIM, ActionEffect
from experiments.ab.plans import PlanKind
from experiments.ab.tails import p_value_in_words
from experiments.ab.words import change, corrected, figure, shows, signed, spoken, within
from experiments.pages import Section, Table

_PLANS = {
    PlanKind.FIXED: "Fixed: the number of units was named before, and it is read once.",
    PlanKind.ALWAYS_VALID: "Always valid: it may be read at any time, and was planned so; intervals are wider for it.",
    PlanKind.GROUP_SEQUENTIAL: "Group sequential: it is read at looks that were named before, each at its price.",
}


def plan(analysis: Analysis) -> Section:
    """Return which plan it was, named before looking, and why its comparison is causal."""
    case = analysis.case
    read = dict.fromkeys(one.absolute.sentence for one in analysis.results) or [case.plan.sentence]
    said = [_PLANS[case.plan.kind], *read, analysis.claim]
    if analysis.left_out:
        left = ", ".join(f"{count:,} rows of {name!r}" for name, count in analysis.left_out.items())
        said.append(f"Left out: {left}.")
    shares = case.arms.shares
    rows = [[name, f"{count:,}", f"{100 * shares[name]:.4g} %"] for name, count in analysis.counts.items()]
    return Section("How it was planned and read", said, table=Table(["arm", "units", "share by design"], rows))


def figures(analysis: Analysis) -> Section | None:
    """Return every figure of every metric and arm; none while it is too early."""
    if analysis.too_early or not analysis.results:
        return None
    heads = [
        "metric", "arm", "role", "units of control", "units", "control", "arm's", "change", "error", "variance removed",
        "p", "corrected p", "posterior",
    ]  # fmt: skip
    rule = spoken(analysis.case.correction.value)
    note = (
        f"Corrected by {rule} over the metrics and arms of a role; guardrail metrics must each hold by themselves. "
        "Variance removed: what the covariates explain (CUPED). Posterior: mean, interval, chance that the effect is "
        "above 0, and what switching is expected to lose."
    )
    rows = [_figures(one) for one in analysis.results]
    return Section("All figures", [], table=Table(heads, rows), note=note, doubt=doubt_of(analysis))


def _figures(one: MetricResult) -> list[str]:
    return [
        one.metric.name,
        one.arm,
        one.metric.role.value,
        f"{one.control.n:,}",
        f"{one.treatment.n:,}",
        figure(one.metric.kind, one.control.value),
        figure(one.metric.kind, one.treatment.value),
        change(one),
        f"{one.absolute.effect.standard_error:.4g}",
        f"{100 * one.variance_removed:.3g} %" if one.metric.covariates else "-",
        p_value_in_words(one.absolute.effect.log_p_value),
        "-" if one.adjusted_p_value is None else corrected(one.adjusted_p_value),
        _posterior(one.posterior),
    ]


def _posterior(found: Posterior | None) -> str:
    if found is None:
        return "-"
    chance, loss = 100 * found.chance_to_win, signed(found.loss_of_treatment)
    return f"{signed(found.mean)} [{signed(found.low)}, {signed(found.high)}], {chance:.1f} %, {loss}"


def actions(found: tuple[ActionEffect, ...], currency: str, doubt: str = "") -> Section | None:
    """Return the comparison of a bandit's actions with control."""
    if not found:
        return None
    rows = [
        [
            one.action,
            f"{one.decisions:,}",
            within(one.effect) if one.effect else one.reason,
            p_value_in_words(one.effect.log_p_value) if one.effect else "-",
            "-" if one.adjusted_p_value is None else corrected(one.adjusted_p_value),
        ]
        for one in sorted(found, key=lambda one: -one.effect.estimate if one.effect else float("inf"))
    ]
    heads = ["action", "drawn", f"{currency} for each decision, against control", "p", "corrected p"]
    return Section("Actions against control", [CLAIM], table=Table(heads, rows), doubt=doubt)


def definitions(analysis: Analysis, case_text: str) -> Section:
    """Return what each metric is, and the case file."""
    heads = ["metric", "kind", "of", "covariates", "cut at quantile", "window", "better", "tolerated", "relative by"]
    rows = [_definition(metric) for metric in analysis.case.metrics]
    return Section("Definitions", [], table=Table(heads, rows), listing=case_text)


def _definition(metric: Metric) -> list[str]:
    margin = metric.margin
    tolerated = "-" if margin is None else shows(margin)(margin.tolerated).lstrip("+")
    return [
        metric.name,
        f"quantile {metric.quantile:g}" if metric.kind == "quantile" else metric.kind.value,
        " / ".join(metric.columns),
        ", ".join(metric.covariates) or "-",
        "-" if metric.winsorise is None else f"{metric.winsorise:g}",
        f"{metric.window_days:g} days" if metric.window_days else "-",
        metric.better.value,
        tolerated,
        spoken(metric.relative.value),
    ]
