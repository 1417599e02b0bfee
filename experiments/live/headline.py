"""The programme's gain in one sentence, in money."""

from __future__ import annotations

from decision.errors import counted
from decision.records import Group
from experiments.ab.case import Role
from experiments.ab.headline import failed
from experiments.ab.money import Money
from experiments.ab.noninferiority import Safety
from experiments.ab.words import listed, spoken
from experiments.live.findings import Compared, Findings


def headline_of(found: Findings) -> str:
    """Return what the programme earns beyond doing nothing, or that it isn't known, and from when on it will be."""
    if found.holdout is None:
        return f"Not yet known: {_awaited(found, found.no_holdout)}"
    return sentence_of(found.holdout, found, "doing nothing")


def usual_line(found: Findings) -> str:
    """Return the same against business as usual; empty where the programme has no such group."""
    if found.usual is None:
        said = f"Against business as usual it is not yet known: {_awaited(found, found.no_usual)}"
        return said if found.no_usual else ""
    return sentence_of(found.usual, found, "business as usual")


def sentence_of(compared: Compared, found: Findings, what: str) -> str:
    """Return a comparison with `what` in a sentence."""
    analysis, currency = compared.analysis, found.programme.currency
    if not analysis.sound:
        return f"It can't be said what Encore earns beyond {what}: {listed(failed(analysis))} failed."
    money = analysis.money.get(Group.POLICY)
    if money is None:
        # Another group than the policy's, or nothing varies.
        return " ".join(verdict.sentence for verdict in analysis.verdicts)
    net = money.net_per_unit
    if net.low <= 0 <= net.high:
        return (
            f"Not yet known: Encore earns between {_amount(-net.low)} {currency} less and {_amount(net.high)} "
            f"{currency} more per customer than {what}; {_expected(compared)}."
        )
    more = "more" if net.estimate > 0 else "less"
    sign = 1 if net.estimate > 0 else -1
    low, high = sorted((sign * net.low, sign * net.high))
    text = (
        f"Encore earns {_amount(abs(net.estimate))} {currency} {more} per customer than {what} "
        f"[{_amount(low)}, {_amount(high)}], {_total(sign * money.net_total.estimate)} {currency} {more} so far"
    )
    return f"{text}; {_cost(money, currency)}.{_harm(compared)}"


def _cost(money: Money, currency: str) -> str:
    if money.cost_total is None:
        return "its incentives cost nothing more"
    return f"its incentives cost {_total(money.cost_total.estimate)} {currency}, which are taken off"


def _harm(compared: Compared) -> str:
    harmed = [
        spoken(one.metric.name)
        for one in compared.analysis.results
        if one.metric.role is Role.GUARDRAIL and one.guardrail and one.guardrail.safety is Safety.HARMED
    ]
    return f" But it does more harm than is tolerated: {listed(harmed)}." if harmed else ""


def _expected(compared: Compared) -> str:
    if not compared.rate:
        return "no new customers come, so that it stays open"
    day = compared.expected
    if day is None:
        return "if there is as little between them as it looks, today's traffic needs more than three years to tell"
    return f"expected to be known about {day:%-d %B %Y} at today's traffic, if the gain is what it looks like now"


def _awaited(found: Findings, reason: str) -> str:
    """Return why nothing is known, and who is waited for."""
    customers = found.customers.found
    if customers.first_known_at is None:
        return "Encore has not decided for anybody."
    if customers.table is None:
        day = f"{customers.first_known_at:%-d %B %Y}"
        return f"the first of {counted(customers.waiting, 'customer')} will be measured on {day}."
    waits = f" {counted(customers.waiting, 'customer')} are waited for." if customers.waiting else ""
    return f"{reason[:1].lower()}{reason[1:]}{waits}"


def _amount(value: float) -> str:
    return f"{value:,.2f}"


def _total(value: float) -> str:
    return f"{value:,.0f}"
