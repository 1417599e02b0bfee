"""The programme on one page: what it earns first, above it what forbids to believe it, below it what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from decision.money import MICROS
from decision.programme.model import Budget
from decision.records import Group
from decision.stages.guardrails import Used
from experiments.ab import details, sections
from experiments.ab.evidence import Evidence
from experiments.ab.headline import doubt_of
from experiments.ab.money import Bounded
from experiments.ab.over_time import effects_over_time
from experiments.ab.page import alarms_of
from experiments.ab.pictures import Pictures, pictures_of, segments_together
from experiments.ab.words import spoken
from experiments.live.findings import Compared, Findings
from experiments.live.headline import headline_of, usual_line
from experiments.pages import Page, Section, Table, html_of, shown

_CLAIMS = (
    (
        "policy against holdout, policy against business as usual",
        "yes",
        "Groups are drawn by a salted hash of the customer before anything is known of her; nothing else differs.",
    ),
    (
        "an action against control",
        "yes, for decisions in which both could be drawn",
        "Each decision is weighed by the probability with which its action was drawn, which was written down then.",
    ),
    (
        "customers who got an action against those who did not",
        "no, and it is not shown",
        "The policy chooses for whom an action is: they would differ without it.",
    ),
    (
        "this month against the month before",
        "no",
        "Seasons and customers change; the curve above compares groups of the same days.",
    ),
)


def page_of(found: Findings, *, tell: Callable[[str], None] = lambda _: None) -> str:
    """Return the page as HTML."""
    return html_of(page(found, tell=tell), made_at=found.as_of)


def page(found: Findings, *, tell: Callable[[str], None] = lambda _: None) -> Page:
    """Return the page in parts."""
    name = found.programme.name
    analysis = None if found.holdout is None else found.holdout.analysis
    lines = [usual_line(found)]
    if analysis is not None:
        lines += [verdict.sentence for verdict in analysis.verdicts]
    return Page(
        title=f"What Encore earns: {name}",
        about=f"{name}{', a simulated shop' if found.programme.simulated else ''}: what Encore earns",
        headline=headline_of(found),
        alarms=[] if analysis is None else alarms_of(analysis),
        lines=[line for line in lines if line],
        numbers=_numbers(found),
        sections=tuple(_sections(found, tell)),
        footer="Valid at any look: whenever and however often this page is opened, its intervals hold. "
        "Money is margin after refunds, less what incentives cost.",
        doubt="" if analysis is None else doubt_of(analysis),
    )


def _numbers(found: Findings) -> list[tuple[str, str]]:
    waiting = (f"{found.customers.found.waiting:,}", "customers whose time is not over yet")
    if found.holdout is None:
        return [waiting]
    analysis, currency = found.holdout.analysis, found.programme.currency
    measured = (f"{sum(analysis.counts.values()):,}", f"customers measured, in {' and '.join(analysis.counts)}")
    money = analysis.money.get(Group.POLICY)
    if money is None:
        return [measured, waiting]
    net = money.net_per_unit
    numbers = [
        (_signed(net.estimate, 2, currency), f"more margin per customer {_ends(Bounded.of(net), 2)}"),
        (_signed(money.net_total.estimate, 0, currency), f"in total so far {_ends(money.net_total, 0)}"),
    ]
    if money.cost_total is not None:
        cost = money.cost_total
        numbers.append((f"{cost.estimate:,.0f} {currency}", f"cost of the incentives {_ends(cost, 0)}"))
    if money.return_on_cost is not None:
        back = money.return_on_cost
        numbers.append(
            (_signed(back.estimate, 2, currency), f"net return on each {currency} spent on incentives {_ends(back, 2)}")
        )
    lost = money.holdout_cost
    numbers.append((f"{lost.estimate:,.0f} {currency}", f"what leaving the holdout alone cost {_ends(lost, 0)}"))
    return [*numbers, measured, waiting]


def _sections(found: Findings, tell: Callable[[str], None]) -> Iterator[Section]:
    if found.holdout is None:
        yield _awaited(found)
    else:
        yield from _measured(found, found.holdout, tell)
    yield from _budgets(found)
    if found.holdout is not None:
        analysis = found.holdout.analysis
        yield Section(
            "Which claims are causal, and why",
            [],
            table=Table(["claim", "causal?", "why"], _CLAIMS, texts=True),
        )
        yield details.plan(analysis)
        yield from shown(details.figures(analysis))
        yield details.definitions(analysis, "")


def _measured(found: Findings, compared: Compared, tell: Callable[[str], None]) -> Iterator[Section]:
    analysis, currency = compared.analysis, found.programme.currency
    doubt = doubt_of(analysis)
    pictures, evidence = _drawn(found, compared, tell)
    for name, picture in pictures.over_time.items():
        yield sections.over_time([one for one in evidence.over_time if one.metric.name == name], picture, analysis)
    money = {f"{arm} against {analysis.case.arms.control}": one for arm, one in analysis.money.items()}
    if found.usual is not None and found.usual.analysis.sound:
        usual = found.usual.analysis
        money |= {f"{arm} against {spoken(usual.case.arms.control)}": one for arm, one in usual.money.items()}
    yield from shown(sections.money(money, currency, doubt))
    yield from shown(sections.guardrails(analysis))
    yield sections.soundness(analysis)
    yield sections.effects(analysis, pictures.forest)
    for key, parts in segments_together(analysis).items():
        if key in pictures.segments:
            yield sections.segments(parts, pictures.segments[key], alpha=analysis.case.plan.alpha, doubt=doubt)
    yield from shown(details.actions(found.actions, currency, doubt))


def _drawn(found: Findings, compared: Compared, tell: Callable[[str], None]) -> tuple[Pictures, Evidence]:
    evidence = Evidence(
        effects_over_time(compared.analysis.case, compared.units, known_after_days=found.known_after_days, tell=tell),
        actions=found.actions,
    )
    tell("drawing")
    return pictures_of(compared.analysis, evidence), evidence


def _awaited(found: Findings) -> Section:
    """Return who is waited for, and why."""
    arrivals = found.customers.found.arrivals
    shares = found.programme.shares
    rows = []
    for group in Group:
        count = sum(n for (_, name), n in arrivals.items() if name == group)
        rows.append([spoken(group.value), f"{count:,}", f"{100 * shares[group]:.4g} %"])
    programme = found.programme
    told = (
        f"A customer counts {found.known_after_days:g} days after her first decision: {max(found.customers.windows):g} "
        f"days for what she buys, {programme.refund_window_days} for what she sends back."
    )
    table = Table(["group", "customers so far", "share by design"], rows)
    return Section("What is waited for", [found.no_holdout, told], table=table)


def _budgets(found: Findings) -> Iterator[Section]:
    rows = [_budget(budget, found.used[budget.name], found.programme.currency) for budget in found.programme.budgets]
    if rows:
        heads = ["budget", "period", "used of the amount", "used of the pieces"]
        yield Section(
            "Budgets",
            ["What is spent, or held for offers that are still valid, of each budget in its present period."],
            table=Table(heads, rows),
        )


def _budget(budget: Budget, used: Used, currency: str) -> list[str]:
    amount = pieces = "-"
    if budget.amount_micros is not None:
        limit, spent = budget.amount_micros / MICROS, used.amount_micros / MICROS
        amount = f"{spent:,.2f} of {limit:,.2f} {currency}{_share(spent, limit)}"
    if budget.count is not None:
        pieces = f"{used.count:,} of {budget.count:,}{_share(used.count, budget.count)}"
    return [spoken(budget.name), budget.period, amount, pieces]


def _share(used: float, limit: float) -> str:
    return f", {100 * used / limit:.0f} %" if limit else ""


def _signed(value: float, digits: int, currency: str) -> str:
    return f"{value:+,.{digits}f} {currency}"


def _ends(found: Bounded, digits: int) -> str:
    return f"[{found.low:,.{digits}f}, {found.high:,.{digits}f}]"
