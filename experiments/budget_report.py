"""What pacing a scarce budget keeps, over simulated shops: a table with intervals, and spending over the period."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import Action, FloatArray
from experiments import plots
from experiments.budget_world import Spent, Stream, optimum, spend
from experiments.shop import Shop, shop_programme
from experiments.shop.arrival import Arrival
from experiments.simulate_report import interval

START = date(2026, 1, 1)
DAYS = 30
# The price moves so often: about every twenty minutes, as the learner of a running shop does.
STEPS = 2_000
# Budgets for so much of what the best offer for everybody would cost, and whether offers are settled at their cost at
# once, or reserved for the dearest case until they expire, as the guardrail does.
CASES = ((1 / 3, False), (1 / 10, False), (2.0, False), (1 / 3, True), (2.0, True))


@dataclass(frozen=True, slots=True)
class Kept:
    """One shop and budget: the optimum's gain over control, and what spending with and without a price brought."""

    optimum: float
    paced: Spent
    first_come: Spent

    def share(self, spent: Spent) -> float:
        """Return which share of the optimum's gain was kept."""
        return spent.gain / self.optimum


def simulate_budgets(seeds: Sequence[int], *, customers: int, out: Path) -> Iterator[str]:
    """Run the months of all shops and yield the lines of the report; the plot goes to `out`."""
    streams = [month(seed, customers=customers) for seed in seeds]
    found = {case: [kept(stream, *case) for stream in streams] for case in CASES}
    n = sum(len(stream.at) for stream in streams)
    yield f"budgets: {len(seeds)} shops, {n:,} customers in a month, values known; % of the offline optimum's gain kept"
    yield f"{'budget / wanted':22} {'paced':>6} {'interval':>16} {'first come':>11} {'interval':>16} {'in use':>7}"
    for (share, reserved), shops in found.items():
        name = f"{share:.0%}" + ", reserved" * reserved
        paced, first = (interval([100 * k.share(s) for k, s in pairs]) for pairs in _both(shops))
        spent = 100 * np.mean([k.paced.path[-1] for k in shops])
        yield (f"{name:22} {paced[0]:6.1f} {_shown(paced):>16} {first[0]:11.1f} {_shown(first):>16} {spent:6.1f}%")
    out.mkdir(parents=True, exist_ok=True)
    figure(found[CASES[0]]).savefig(out / "budget.png")
    yield f"plot: {out / 'budget.png'}"


def _both(shops: Sequence[Kept]) -> Iterator[list[tuple[Kept, Spent]]]:
    yield [(k, k.paced) for k in shops]
    yield [(k, k.first_come) for k in shops]


def _shown(found: tuple[float, float, float]) -> str:
    return f"[{found[1]:.1f}, {found[2]:.1f}]"


def month(seed: int, *, customers: int) -> Stream:
    """Return everybody who comes to a simulated shop in a month, with what every action would bring and cost."""
    shop = Shop.open(shop_programme(), seed=seed, customers=customers, start=START)
    programme = shop.programme
    at, value, cost, held = [], [], [], []
    for day in range(DAYS):
        arrivals = shop.arrivals(day)
        if arrivals:
            midnight = arrivals[0].at.replace(hour=0, minute=0, second=0)
            truth = shop.truth(arrivals)
            at += [(day + (a.at - midnight).total_seconds() / 86_400) / DAYS for a in arrivals]
            value.append(truth.value)
            cost.append(truth.cost)
            held.append([[_dearest(programme, action, a) for action in programme.actions] for a in arrivals])
    validity = programme.attribution_window_days / DAYS
    return Stream(np.array(at), np.vstack(value), np.vstack(cost), np.vstack(held), validity)


def _dearest(programme: Programme, action: Action, arrival: Arrival) -> float:
    basket = round(arrival.total * MICROS)
    return (programme.contact_cost_micros(action) + programme.redemption_cost_micros(action, basket)) / MICROS


def kept(stream: Stream, share: float, reserved: bool) -> Kept:
    """Spend a budget that is `share` of what the best action for everybody costs."""
    if not reserved:
        stream = replace(stream, held=stream.cost)
    best = stream.value.argmax(axis=1)
    amount = share * float(stream.cost[np.arange(len(best)), best].sum())
    paced, first_come = (spend(stream, amount, steps=STEPS, paced=paced) for paced in (True, False))
    return Kept(optimum(stream, amount), paced, first_come)


def figure(shops: Sequence[Kept]) -> Any:
    """Return the plot of what was spent of the scarce budget over its period."""
    every = STEPS // 40
    curves: dict[str, FloatArray] = {
        name: 100 * np.array([spent.path[every - 1 :: every] for spent in runs])
        for name, runs in (("paced", [k.paced for k in shops]), ("first come", [k.first_come for k in shops]))
    }
    curves["even"] = np.linspace(100 / 40, 100, 40)[None, :]
    return plots.regret_over_time(
        curves,
        title="Spending of a month's budget for a third of what is wanted",
        xlabel="fortieths of the month",
        ylabel="% of the budget spent",
    )
