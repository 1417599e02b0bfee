"""What a page says of an analysis, part by part, for people who decide; `details` has the parts for analysts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.ab.analysis import Analysis, MetricResult, Segments
from experiments.ab.case import MetricKind, Role
from experiments.ab.distributions import Distribution
from experiments.ab.headline import doubt_of
from experiments.ab.money import Bounded, Money
from experiments.ab.noninferiority import Safety
from experiments.ab.over_time import Series
from experiments.ab.plans import PlanKind
from experiments.ab.words import (
    MARKS,
    corrected,
    figure,
    in_unit,
    listed,
    shows,
    signed,
    spoken,
    within,
    within_percent,
)
from experiments.pages import Picture, Section, Table

_SAFETY = {
    Safety.SAFE: "SAFE: whatever it does, it is less than what is tolerated.",
    Safety.HARMED: "HARMED: it does more harm than is tolerated.",
    Safety.OPEN: "OPEN: neither safety nor harm is shown; more units would tell.",
}


def effects(analysis: Analysis, picture: Picture | None) -> Section:
    """Return what changed, in words and as a forest plot; while it is too early, that it is."""
    if analysis.too_early:
        early = next(one for one in analysis.results if one.absolute.too_early)
        return Section(
            "What changed",
            [
                f"Too early: {early.absolute.sentence}",
                "No figure is shown before its time: who looks early and stops when he likes what he sees, decides by "
                "chance.",
            ],
        )
    told = [_changed(analysis, one) for one in analysis.results if one.metric.role is not Role.GUARDRAIL]
    told += [f"{spoken(one.metric.name)}, {one.arm}: no figure. {one.reason}" for one in analysis.refusals]
    level = 100 * (1 - analysis.case.plan.alpha)
    return Section(
        "What changed",
        told,
        figure=picture,
        note=f"Bars are {level:g} % intervals: the truth lies outside in at most {100 - level:g} of 100 tests. "
        "Filled: told from no effect. Dashed: where a guardrail metric's tolerance ends, harm is beyond.",
        alt="Effects with intervals. " + " ".join(told),
        doubt=doubt_of(analysis),
    )


def _changed(analysis: Analysis, one: MetricResult) -> str:
    effect, kind = one.absolute.effect, one.metric.kind
    shown = in_unit(kind, effect)
    ratio = f", that is {within_percent(one.relative.effect)}" if one.relative else ""
    told = "" if effect.low > 0 or effect.high < 0 else " This is not told from no change."
    return (
        f"{spoken(one.metric.name)}, {one.arm}: {shown}{ratio}; {figure(kind, one.treatment.value)} against "
        f"{figure(kind, one.control.value)} of {analysis.case.arms.control}.{told}"
    )


def guardrails(analysis: Analysis) -> Section | None:
    """Return the metrics that must not degrade, with their margins."""
    found = [one for one in analysis.results if one.guardrail and one.metric.margin]
    if not found or analysis.too_early:
        return None
    rows = []
    for one in found:
        assert one.guardrail is not None
        assert one.metric.margin is not None
        show = shows(one.metric.margin)
        shown = in_unit(one.metric.kind, one.absolute.effect)
        if one.metric.margin.relative and one.relative:
            shown = within_percent(one.relative.effect)
        rows.append(
            [
                spoken(one.metric.name),
                one.arm,
                shown,
                show(one.guardrail.worst),
                show(one.guardrail.margin).lstrip("+") + f" {'less' if one.metric.better == 'higher' else 'more'}",
                _SAFETY[one.guardrail.safety],
            ]
        )
    heads = ["metric", "arm", "change", "at worst", "tolerated", "what that means"]
    sentences = ["What must not get worse, however much is gained elsewhere."]
    return Section("Guardrail metrics", sentences, table=Table(heads, rows, texts=True), doubt=doubt_of(analysis))


def soundness(analysis: Analysis) -> Section:
    """Return every check."""
    order = list(MARKS)[::-1]
    checks = sorted(analysis.checks, key=lambda check: order.index(check.finding))
    rows = [
        [check.name, MARKS[check.finding], "" if check.p_value is None else f"{check.p_value:.2g}", check.sentence]
        for check in checks
    ]
    bad = analysis.failed
    said = f"{len(bad)} of {len(checks)} checks failed." if bad else f"None of {len(checks)} checks failed."
    return Section("Was the test sound?", [said], table=Table(["check", "", "p", "what was found"], rows, texts=True))


def money(found: Mapping[str, Money], currency: str, doubt: str = "") -> Section | None:
    """Return what arms brought in money, a column each."""
    if not found:
        return None
    heads = [currency, *found]
    rows = [
        ["more margin for each unit, less what incentives cost", *(within(one.net_per_unit) for one in found.values())],
        ["the same over all units of the arm", *(_bounded(one.net_total) for one in found.values())],
        ["cost of the incentives", *(_bounded(one.cost_total) for one in found.values())],
        ["net return on each unit of money spent", *(_bounded(one.return_on_cost) for one in found.values())],
        ["what leaving control untreated cost", *(_bounded(one.holdout_cost) for one in found.values())],
    ]
    told = []
    for arm, one in found.items():
        net, total = one.net_per_unit, one.net_total
        sure = "" if net.low > 0 or net.high < 0 else " It may as well be nothing."
        told.append(
            f"{arm}: {signed(net.estimate)} {currency} for each unit, {signed(total.estimate)} in all (between "
            f"{signed(total.low)} and {signed(total.high)}).{sure}"
        )
        if one.no_return:
            told.append(f"{arm}: {one.no_return}")
    return Section("In money", told, table=Table(heads, rows), doubt=doubt)


def over_time(series: Sequence[Series], picture: Picture, analysis: Analysis) -> Section:
    """Return how a metric's effect came to be what it is."""
    metric, plan = series[0].metric, analysis.case.plan
    told = []
    for one in series:
        last = one.points[-1]
        shown = in_unit(metric.kind, last.effect)
        told.append(f"{one.arm}, {last.day:%-d %B %Y}: {shown} from {last.units:,} units of all arms.")
    note = "The band holds on all days together, however often one looks (always-valid)."
    if plan.kind is not PlanKind.ALWAYS_VALID:
        note += " It is wider than the interval of this test's plan, which decides."
    title = f"How the effect on {spoken(metric.name)} came about"
    alt = f"Effect on {spoken(metric.name)} by day with its band. {' '.join(told)}"
    return Section(title, told, figure=picture, note=note, alt=alt, doubt=doubt_of(analysis))


def distribution(found: Distribution, picture: Picture, doubt: str = "") -> Section:
    """Return how a metric is spread over units."""
    name = spoken(found.metric.name)
    zeros = [f"{arm} {100 * share:.2f} %" for arm, share in zip(found.arms, found.zero.tolist(), strict=True)]
    told = [f"Units with 0: {listed(zeros)}."] if found.zero.any() else [f"No unit has a {name} of 0."]
    notes = []
    if len(found.edges):
        cut = f"{found.edges[0]:.4g} to {found.edges[-1]:.4g}"
        beyond = [f"{arm} {100 * share:.2f} %" for arm, share in zip(found.arms, found.beyond.tolist(), strict=True)]
        if found.beyond.any():
            notes.append(f"Drawn from {cut}; outside are {listed(beyond)} of the units, which count in the figures.")
    if found.metric.kind is MetricKind.RATIO:
        notes.append("Of each unit its own ratio; the figures are ratios of sums.")
    alt = f"Distribution of {name} by arm. {' '.join(told)}"
    return Section(f"Who has how much {name}", told, figure=picture, note=" ".join(notes), alt=alt, doubt=doubt)


def segments(parts: Sequence[Segments], picture: Picture, *, alpha: float, doubt: str = "") -> Section:
    """Return a metric's effects by the segments of a dimension."""
    metric, dimension = spoken(parts[0].metric), spoken(parts[0].effects.dimension)
    told = []
    for one in parts:
        alike = one.adjusted_p_value > alpha
        said = "no sign that it works differently" if alike else "it works differently in some of them"
        told.append(
            f"{one.arm}: {said} (all alike: p = {one.effects.p_value:.2g}, "
            f"{corrected(one.adjusted_p_value)} corrected for all segments that were looked at)."
        )
    heads = ["segment", "arm", "shrunk", "by itself", "kept of its own"]
    rows = [
        [
            part.segment,
            one.arm,
            within(part),
            within(part.own),
            f"{100 * part.kept:.0f} %",
        ]
        for one in parts
        for part in one.effects.segments
    ]
    note = (
        "Blue: drawn towards the common effect as far as the data don't support a difference. The best of many "
        "segments looks better by itself than it is (grey)."
    )
    alt = f"Effects on {metric} by {dimension}. {' '.join(told)}"
    title = f"{metric} by {dimension}"
    return Section(title, told, figure=picture, table=Table(heads, rows), note=note, alt=alt, doubt=doubt)


def _bounded(found: Bounded | None) -> str:
    return "-" if found is None else within(found)
