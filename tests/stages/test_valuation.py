"""Components into money, recomputed by hand."""

import numpy as np
import pytest

from decision.programme.model import Goal
from decision.records import CONTROL_ACTION, Components
from decision.stages.valuation import worth
from tests.support import programme

VISIT = np.array([0.4, 0.5, 0.6])
REPURCHASE = np.array([0.10, 0.12, 0.15])
BASKET = np.array([50.0, 60.0, 40.0])
REDEMPTION = np.array([0.0, 0.5, 0.25])


@pytest.mark.parametrize(
    ("goal", "expected"),
    [
        # profit: 40 % of the basket, minus half a discount of a tenth, minus a quarter of 4.90, minus contact
        (Goal(), [0.10 * 20.0, 0.12 * (24.0 - 0.5 * 6.0) - 0.09, 0.15 * (16.0 - 0.25 * 4.90) - 0.02]),
        (Goal(0.0, 1.0), [0.10 * 50.0, 0.12 * (60.0 - 3.0) - 0.09, 0.15 * (40.0 - 1.225) - 0.02]),
        (Goal(0.0, 0.0, 2.0), [0.8, 1.0 - 0.12 * 3.0 - 0.09, 1.2 - 0.15 * 1.225 - 0.02]),
        (Goal(0.0, 0.0, 0.0, 5.0), [0.5, 0.12 * (5.0 - 3.0) - 0.09, 0.15 * (5.0 - 1.225) - 0.02]),
    ],
)
def test_values_by_hand(goal: Goal, expected: list[float]) -> None:
    shop = programme()
    actions = (CONTROL_ACTION, shop.action("discount@sms"), shop.action("shipping@email"))
    found = worth(shop, goal, actions, Components(VISIT, REPURCHASE, BASKET, REDEMPTION))
    np.testing.assert_allclose(found.value(REPURCHASE), expected, rtol=1e-12)


def test_control_costs_nothing() -> None:
    nothing = Components(*(np.array([0.0]) for _ in range(4)))
    assert worth(programme(), Goal(), (CONTROL_ACTION,), nothing).value(np.array([0.7])) == [0.0]


def test_values_of_many_draws_are_priced_at_once() -> None:
    shop = programme()
    actions = (CONTROL_ACTION, shop.action("discount@sms"), shop.action("shipping@email"))
    found = worth(shop, Goal(), actions, Components(VISIT, REPURCHASE, BASKET, REDEMPTION))
    draws = np.random.default_rng(1).uniform(size=(7, 3))
    np.testing.assert_array_equal(found.value(draws), [found.value(row) for row in draws])
