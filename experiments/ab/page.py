"""An analysis as one page: the verdict first, above it what forbids to believe it, below it what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiments.ab import details, sections
from experiments.ab.analysis import Analysis, State
from experiments.ab.case import Role
from experiments.ab.evidence import Evidence
from experiments.ab.headline import doubt_of, headline_of
from experiments.ab.pictures import Pictures, segments_together
from experiments.ab.words import change, signed, spoken
from experiments.pages import Page, Section, shown

_MOST_NUMBERS = 6


def page(analysis: Analysis, evidence: Evidence, pictures: Pictures) -> Page:
    """Return the page in parts."""
    name = spoken(analysis.case.name)
    return Page(
        title=f"A/B test {name}",
        about=f"A/B test: {name}",
        headline=headline_of(analysis),
        alarms=alarms_of(analysis),
        lines=[verdict.sentence for verdict in analysis.verdicts],
        numbers=_numbers(analysis),
        sections=tuple(_sections(analysis, evidence, pictures)),
        footer=f"{analysis.case.plan.sentence} {sum(analysis.counts.values()):,} units.",
        doubt="" if analysis.too_early else doubt_of(analysis),
    )


def alarms_of(analysis: Analysis) -> Sequence[tuple[str, str]]:
    """Return the checks that failed, for the top of a page."""
    return [(f"Not sound: {check.name}.", check.sentence) for check in analysis.failed]


def _numbers(analysis: Analysis) -> list[tuple[str, str]]:
    units = (f"{sum(analysis.counts.values()):,}", f"units in {len(analysis.counts)} arms")
    if analysis.state is State.TOO_EARLY or analysis.too_early:
        return [units]
    primary = [one for one in analysis.results if one.metric.role is Role.PRIMARY]
    found = [(change(one).split(" [")[0], f"{spoken(one.metric.name)}, {one.arm}: {change(one)}") for one in primary]
    currency = analysis.case.money.currency if analysis.case.money else ""
    for arm, one in analysis.money.items():
        total = one.net_total
        found.append(
            (
                f"{signed(total.estimate)} {currency}",
                f"more margin in all, {arm} [{signed(total.low)}, {signed(total.high)}]",
            )
        )
    return [*found[: _MOST_NUMBERS - 1], units]


def _sections(analysis: Analysis, evidence: Evidence, pictures: Pictures) -> Iterator[Section]:
    doubt = doubt_of(analysis)
    currency = analysis.case.money.currency if analysis.case.money else "money"
    yield sections.effects(analysis, pictures.forest)
    yield from shown(sections.guardrails(analysis))
    yield sections.soundness(analysis)
    yield from shown(sections.money(analysis.money, currency, doubt))
    for name, picture in pictures.over_time.items():
        yield sections.over_time([one for one in evidence.over_time if one.metric.name == name], picture, analysis)
    for one in evidence.distributions:
        if one.metric.name in pictures.distributions:
            yield sections.distribution(one, pictures.distributions[one.metric.name], doubt)
    for key, parts in segments_together(analysis).items():
        if key in pictures.segments:
            yield sections.segments(parts, pictures.segments[key], alpha=analysis.case.plan.alpha, doubt=doubt)
    yield from shown(details.actions(evidence.actions, currency, doubt))
    yield details.plan(analysis)
    yield from shown(details.figures(analysis))
    yield details.definitions(analysis, evidence.case_text)
