"""The use case: prices of budgets follow what was used of them, so that they last for their period.

A price is a function of the ledger: of the last one written and of what has been used since.
"""

from __future__ import annotations

from datetime import datetime

from decision.ledger.base import Ledger, PriceRecord
from decision.programme.model import Budget, Programme
from decision.stages.guardrails import Used
from decision.stages.pacing import Price, Progress, stepped

# A price moves at most so many times a period: a row in the ledger each.
STEPS = 2_000


def pace(*, programme: Programme, ledger: Ledger, now: datetime) -> int:
    """Bring the prices of all paced budgets up to date; return how many were written."""
    records = [_next(budget, programme, ledger, now) for budget in programme.budgets if budget.paced]
    new = [record for record in records if record is not None]
    if new:
        ledger.record_shadow_prices(new)
    return len(new)


def prices_in_force(programme: Programme, ledger: Ledger) -> dict[str, Price]:
    """Return the prices of paced budgets that are not free, by the name of the budget."""
    found = {budget.name: ledger.shadow_price(budget.name) for budget in programme.budgets if budget.paced}
    return {name: record.price for name, record in found.items() if record is not None and not record.price.free}


def _next(budget: Budget, programme: Programme, ledger: Ledger, now: datetime) -> PriceRecord | None:
    """Return the next price of a budget, or None where it is not time yet.

    A period starts with the last price of the one before: what was scarce mostly still is.
    """
    period = programme.period_of(budget, now)
    if period is None:
        return None
    start, end = period
    key = programme.budget_key(budget, now)
    last = ledger.shadow_price(budget.name)
    used = ledger.used([key]).get(key, Used())
    at, before = (start, Used()) if last is None or last.budget_key != key else (last.at, last.used)
    if (now - at) * STEPS < end - start:
        return None
    price = last.price if last else Price()
    shares = [(moment - start) / (end - start) for moment in (at, now)]
    moved = stepped(price, budget, Progress(before, shares[0]), Progress(used, shares[1]))
    return PriceRecord(key, now, moved, used)
