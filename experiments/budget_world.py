"""What pacing keeps of a scarce budget: customers of a simulated shop with known values come over one period.

The actions' true values and costs are known, so that nothing but the pacing is under test. The offline optimum knows
everybody who will come: the linear relaxation of its choice is solved through its dual, which bounds any policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from decision.money import MICROS
from decision.programme.model import Budget
from decision.records import FloatArray, IntArray
from decision.stages.guardrails import Used
from decision.stages.pacing import Price, Progress, stepped

BISECTIONS = 60


@dataclass(frozen=True, slots=True)
class Stream:
    """N customers in order of arrival: `at` [N] are shares of the period, `value` and `cost` [N, K] of K actions.

    Both are in currency units, value net of cost; action 0 is control and costs nothing. `held` [N, K] is what is
    reserved of the budget until the offer expires after `validity`, a share of the period, and `cost` remains.
    """

    at: FloatArray
    value: FloatArray
    cost: FloatArray
    held: FloatArray
    validity: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What a way of spending brought: `gain` over control; `path` [steps] of the share in use, and of the price."""

    gain: float
    path: FloatArray
    prices: FloatArray


def spend(stream: Stream, amount: float, *, steps: int, paced: bool) -> Spent:
    """Give each customer the best action at the price in force, while the budget lasts; the price moves each step."""
    budget = Budget("b", None, None, "month", round(amount * MICROS), None, pacing=paced)
    price, before, used, gain = Price(), Progress(Used(), 0.0), 0.0, 0.0
    path, prices = np.zeros(steps), np.zeros(steps)
    releases: list[tuple[float, float]] = []
    ends = np.searchsorted(stream.at, np.arange(1, steps + 1) / steps)
    uplift = stream.value - stream.value[:, :1]
    for step, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        while releases and releases[0][0] <= step / steps:
            used -= heappop(releases)[1]
        for i in range(start, end):
            fits = used + stream.held[i] <= amount
            charged = uplift[i] - price.per_money * stream.cost[i]
            chosen = int(np.where(fits, charged, -np.inf).argmax())
            used, gain = used + stream.held[i, chosen], gain + uplift[i, chosen]
            heappush(releases, (stream.at[i] + stream.validity, stream.held[i, chosen] - stream.cost[i, chosen]))
        now = Progress(Used(round(used * MICROS)), (step + 1) / steps)
        if paced:
            price, before = stepped(price, budget, before, now), now
        path[step], prices[step] = used / amount, price.per_money
    return Spent(float(gain), path, prices)


def optimum(stream: Stream, amount: float) -> float:
    """Return the gain over control of who knows everybody in advance: the minimum of the dual, an upper bound."""
    uplift = stream.value - stream.value[:, :1]

    def chosen(price: float) -> IntArray:
        best: IntArray = (uplift - price * stream.cost).argmax(axis=1)
        return best

    rows = np.arange(len(uplift))
    low, high = 0.0, 1.0
    if stream.cost[rows, chosen(0.0)].sum() <= amount:
        return float(uplift.max(axis=1).sum())
    while stream.cost[rows, chosen(high)].sum() > amount:
        high *= 2.0
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if stream.cost[rows, chosen(middle)].sum() > amount else (low, middle)
    return float((uplift - high * stream.cost).max(axis=1).sum() + high * amount)
