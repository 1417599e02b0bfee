"""Shadow prices: a scarce budget lasts for its period and goes to those for whom it is worth most."""

from dataclasses import replace

import numpy as np
import pytest

from decision.money import MICROS
from decision.programme.model import Goal
from decision.records import CONTROL_ACTION, Components
from decision.stages.guardrails import Used
from decision.stages.pacing import Price, Progress, charge, stepped
from decision.stages.valuation import expected_cost, worth
from experiments.budget_world import Spent, Stream, optimum, spend
from tests.support import budget, micros, programme

SHOP = programme()
STEPS = 500


def customers(seed: int, *, late: float = 0.5, n: int = 3_000) -> Stream:
    """Return customers with very different values; the share `late` of them comes in the second half."""
    rng = np.random.default_rng(seed)
    at = np.sort((rng.random(n) + (rng.random(n) < late)) / 2)
    cost = rng.lognormal(0.5, 0.4, (n, 4))
    value = rng.lognormal(0.0, 1.0, (n, 1)) * cost**0.7 * rng.lognormal(0.0, 0.5, (n, 4))
    cost[:, 0] = value[:, 0] = 0.0
    return Stream(at, value, cost, held=cost, validity=1.0)


def wanted(stream: Stream) -> float:
    """Return what it would cost to give everybody the best offer."""
    return float(stream.cost[np.arange(len(stream.at)), stream.value.argmax(axis=1)].sum())


def both(stream: Stream, share: float) -> tuple[Spent, Spent, float]:
    amount = share * wanted(stream)
    paced, first_come = (spend(stream, amount, steps=STEPS, paced=paced) for paced in (True, False))
    return paced, first_come, optimum(stream, amount)


@pytest.mark.parametrize("seed", [200, 201])
def test_a_third_of_the_budget_keeps_nearly_all_that_foresight_would(seed: int) -> None:
    paced, first_come, best = both(customers(seed), 1 / 3)
    assert first_come.gain < 0.6 * best
    assert 0.96 * best < paced.gain <= best
    even = np.arange(1, STEPS + 1) / STEPS
    assert np.abs(paced.path - even).max() < 0.10, "spending is nearly linear"
    assert 0.97 < paced.path[-1] <= 1.0
    assert first_come.path[STEPS // 2] > 0.95, "without a price it is gone by then"


@pytest.mark.parametrize("late", [0.25, 0.75])
def test_a_shift_of_traffic_halfway_is_absorbed(late: float) -> None:
    paced, first_come, best = both(customers(202, late=late), 1 / 3)
    assert paced.gain > 0.88 * best > first_come.gain
    assert 0.97 < paced.path[-1] <= 1.0
    even = np.arange(1, STEPS + 1) / STEPS
    assert np.abs(paced.path - even).max() < 0.12
    assert (paced.prices[-STEPS // 5 :].mean() > paced.prices[STEPS // 5 : STEPS // 2].mean()) == (late > 0.5)


def test_what_is_reserved_for_the_dearest_case_is_never_over_budget_either() -> None:
    stream = replace(customers(204), validity=0.5)
    stream = replace(stream, held=4.0 * stream.cost)
    paced, first_come, best = both(stream, 1.0)
    assert paced.path.max() <= 1.0
    assert first_come.gain < paced.gain < best


def test_an_ample_budget_is_free_and_loses_nothing() -> None:
    paced, first_come, best = both(customers(203), 2.0)
    assert not paced.prices.any()
    assert paced.gain == first_come.gain == pytest.approx(best)


def test_a_price_of_uses_follows_uses() -> None:
    gifts = budget(period="month", count=10)
    start, half = Progress(Used(), 0.0), Progress(Used(micros(40.0), 8), 0.5)
    dear = stepped(Price(), gifts, start, half)
    # 80 % of the uses in half of the time: 30 % too many, at 5 a piece.
    assert dear == Price(0.0, pytest.approx(5.0 * (np.e - 1)))
    later = stepped(dear, gifts, half, Progress(half.used, 0.6))
    # Of the 20 % that are left, a fifth was allowed meanwhile, and none was taken.
    assert later.per_use == pytest.approx((dear.per_use + 5.0) * np.exp(-20.0 * 0.04) - 5.0)
    assert stepped(later, gifts, half, Progress(half.used, 1.0)).free


def test_both_limits_have_a_price() -> None:
    both_limits = budget(period="month", count=10, amount_micros=100 * MICROS)
    price = stepped(Price(), both_limits, Progress(Used(), 0.0), Progress(Used(micros(60.0), 2), 0.5))
    assert price.per_money > 0.0
    assert price.per_use == 0.0


def test_an_action_pays_for_every_budget_that_covers_it() -> None:
    shop = replace(
        SHOP,
        budgets=(
            budget("all", period="week", amount_micros=MICROS),
            budget("hamburg", period="week", store="hamburg", amount_micros=MICROS),
            budget("shipping", period="day", offer="shipping", count=9),
            budget("free", period="day", count=9, pacing=False),
            budget("endless", count=9),
        ),
    )
    prices = {
        "all": Price(per_money=0.5),
        "hamburg": Price(per_money=0.25),
        "shipping": Price(per_use=3.0),
        "free": Price(per_use=9.0),
        "endless": Price(per_use=9.0),
    }
    actions = [CONTROL_ACTION, shop.action("discount@sms"), shop.action("shipping@email")]
    components = Components(np.zeros(3), np.zeros(3), np.full(3, 50.0), np.array([0.0, 0.4, 0.5]))
    repurchase = np.array([0.2, 0.3, 0.4])
    line, cost = (
        expected_cost(shop, tuple(action.action_id for action in actions), components),
        np.array([0.0, 0.09 + 0.3 * 0.4 * 5.0, 0.02 + 0.4 * 0.5 * 4.9]),
    )
    for store, rate in (("hamburg", 0.75), (None, 0.5)):
        price = charge(shop, prices, actions, store=store, cost=line)
        assert price is not None
        assert price.value(repurchase) == pytest.approx(rate * cost + [0.0, 0.0, 3.0])
    true = worth(shop, Goal(), actions, components)
    assert true.less(price).value(repurchase) == pytest.approx(true.value(repurchase) - price.value(repurchase))
    assert charge(shop, prices, actions[:1], store="hamburg", cost=line) is None
    assert charge(shop, {"all": Price()}, actions, store="hamburg", cost=line) is None
