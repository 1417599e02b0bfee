"""What the programme's own ledger says of it today."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from decision.errors import NotEnoughData
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from decision.records import Group
from decision.stages.guardrails import Used
from experiments.ab.analyse import analyse
from experiments.ab.analysis import Analysis
from experiments.ab.case import Case
from experiments.ab.ledger_actions import ActionEffect, action_effects
from experiments.ab.ledger_units import CLAIM
from experiments.ab.soundness import Check
from experiments.ab.units import Units
from experiments.live.checks import checks_of_programme
from experiments.live.comparisons import Customers, against_holdout, against_usual, customers_of
from experiments.live.forecast import per_day, told_apart_at


@dataclass(frozen=True, eq=False)
class Compared:
    """A comparison of groups.

    Parameters
    ----------
    rate : how many new customers come into its groups a day.
    expected : when its gain is expected to be told; None where that is too far.
    """

    units: Units
    analysis: Analysis
    rate: float
    expected: date | None


@dataclass(frozen=True, eq=False)
class Findings:
    """All of it.

    Parameters
    ----------
    holdout, usual : the comparisons; None with `no_holdout`, `no_usual` saying why.
    actions : every action against control.
    used : what is reserved or spent of each budget in its present period, by name.
    """

    customers: Customers
    as_of: datetime
    holdout: Compared | None
    no_holdout: str
    usual: Compared | None
    no_usual: str
    actions: tuple[ActionEffect, ...]
    used: dict[str, Used]

    @property
    def programme(self) -> Programme:
        """Return the programme."""
        return self.customers.programme

    @property
    def known_after_days(self) -> float:
        """Return how many days after her first decision a customer counts."""
        return max(self.customers.windows) + self.programme.refund_window_days


def findings(
    ledger: Ledger, programme: Programme, *, now: datetime, tell: Callable[[str], None] = lambda _: None
) -> Findings:
    """Measure the programme. What can't be said yet is said so."""
    tell("measuring customers")
    customers = customers_of(ledger, programme, now=now)
    checks: tuple[Check, ...] = ()
    if customers.found.table is not None:
        checks = checks_of_programme(customers)
    holdout, no_holdout = _tried(lambda: against_holdout(customers), customers, checks, now, tell)
    usual, no_usual = None, ""
    if programme.shares[Group.BUSINESS_AS_USUAL] > 0 and programme.shares[Group.POLICY] > 0:
        usual, no_usual = _tried(lambda: against_usual(customers), customers, checks, now, tell)
    actions: tuple[ActionEffect, ...] = ()
    if holdout is not None:
        tell("comparing actions")
        case = holdout.analysis.case
        actions = action_effects(ledger.rewarded(), case.plan, case.correction)
    keys = programme.budget_keys(now)
    used = ledger.used(keys.values())
    return Findings(
        customers,
        now,
        holdout,
        no_holdout,
        usual,
        no_usual,
        actions,
        {name: used.get(key, Used()) for name, key in keys.items()},
    )


def _tried(
    opened: Callable[[], tuple[Case, Units]],
    customers: Customers,
    checks: tuple[Check, ...],
    now: datetime,
    tell: Callable[[str], None],
) -> tuple[Compared | None, str]:
    try:
        case, units = opened()
    except NotEnoughData as error:
        return None, str(error)
    analysis = analyse(case, units, claim=CLAIM, known=checks, tell=tell)
    today = now.date()
    rate = per_day(customers.found.arrivals, tuple(analysis.counts), today=today)
    return Compared(units, analysis, rate, _expected(analysis, rate, today)), ""


def _expected(analysis: Analysis, rate: float, today: date) -> date | None:
    money = analysis.money.get(Group.POLICY)
    if money is None:
        return None
    return told_apart_at(money.net_per_unit, analysis.case.plan, sum(analysis.counts.values()), rate, today=today)
