"""Shadow prices: what a unit of a scarce budget is worth elsewhere, charged to whoever takes it now.

A price moves by online mirror descent towards a spending path (Balseiro, Lu, Mirrokni 2020): it rises where a budget
is used faster than what is left of it allows, and falls to zero where nothing presses. The path is aimed anew at every
step (Agrawal, Devanur 2014), so that what was used too fast or too slowly is made up for until the period ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp

import numpy as np

from decision.money import MICROS
from decision.programme.model import Budget, Programme
from decision.records import Action
from decision.stages.guardrails import Used
from decision.stages.valuation import Worth

# How far the logarithm of a price moves for a whole budget used beside the path, and at most in one step.
GAIN = 20.0
LARGEST_STEP = 1.0
LEAST_UNIT = 0.01


@dataclass(frozen=True, slots=True)
class Price:
    """The price of a budget: currency units per unit of its money, and per use where it limits uses."""

    per_money: float = 0.0
    per_use: float = 0.0

    @property
    def free(self) -> bool:
        """Return whether nothing is charged."""
        return not (self.per_money or self.per_use)


@dataclass(frozen=True, slots=True)
class Progress:
    """What was used of a budget by a time; `elapsed` is the share of its period that was over then."""

    used: Used
    elapsed: float


def stepped(price: Price, budget: Budget, before: Progress, now: Progress) -> Price:
    """Return the price after the time from `before` to `now`, both in one period.

    What is used is what the guardrail counts, with reservations held for the dearest case: that is what runs out.
    """
    money = uses = 0.0
    if budget.amount_micros:
        spent = (before.used.amount_micros / budget.amount_micros, now.used.amount_micros / budget.amount_micros)
        money = _moved(price.per_money, 1.0, spent, (before.elapsed, now.elapsed))
    if budget.count:
        taken = (before.used.count / budget.count, now.used.count / budget.count)
        # A use is priced in the order of what it costs.
        unit = now.used.amount_micros / MICROS / now.used.count if now.used.count else LEAST_UNIT
        uses = _moved(price.per_use, max(unit, LEAST_UNIT), taken, (before.elapsed, now.elapsed))
    return Price(money, uses)


def _moved(price: float, unit: float, used: tuple[float, float], elapsed: tuple[float, float]) -> float:
    """Return a price after a step of mirror descent under the entropy of `price + unit`, so that it can reach zero.

    `used` and `elapsed` are shares of the budget and of the period, before and after.
    """
    if price == 0.0 and used[1] <= elapsed[1]:
        return 0.0
    allowed = max(1.0 - used[0], 0.0) * (elapsed[1] - elapsed[0]) / max(1.0 - elapsed[0], 1e-9)
    step = GAIN * (used[1] - used[0] - allowed)
    return max((price + unit) * exp(min(max(step, -LARGEST_STEP), LARGEST_STEP)) - unit, 0.0)


def charge(
    programme: Programme,
    prices: Mapping[str, Price],
    actions: Sequence[Action],
    *,
    store: str | None,
    cost: Worth,
) -> Worth | None:
    """Return what each action [K] is charged for the budgets that cover it; None where nothing is.

    `prices` are by the name of the budget; `cost` is what the actions are expected to cost.

    Money is charged on the expected cost and not on what is reserved, so that the ranking is by value per money spent.
    """
    rates, uses, charged = [0.0] * len(actions), [0.0] * len(actions), False
    for budget in programme.budgets:
        price = prices.get(budget.name)
        if price is None or price.free or not budget.paced:
            continue
        for k, action in enumerate(actions):
            if not action.is_control and budget.covers(action, store):
                rates[k] += price.per_money
                uses[k] += price.per_use
                charged = True
    if not charged:
        return None
    rate = np.array(rates)
    return Worth(uses + rate * cost.fixed, rate * cost.per_repurchase)
