"""Gaps more regular than chance, by brute force."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma

from experiments.behaviour.habit import Habit, fit_regular_habit
from experiments.behaviour.journal import Journal, day_of, journal_of
from experiments.behaviour.season import Season
from experiments.behaviour.state import gaps_before, state_at
from tests.behaviour.shops import OPENED, history

ZERO = day_of(OPENED.date())


def regular_shop(customers: int, days: int, *, regularity: int, seed: int) -> Journal:
    """Customers who come one by one; a gap of about 24 days is the sum of so many exponential ones."""
    rng = np.random.default_rng(seed)
    bought = []
    for c in range(customers):
        day, mean = float(rng.uniform(0, days - 30)), 24.0 * float(rng.gamma(4.0, 0.25))
        while day < days:
            bought.append((f"c{c}", int(day), 10.0))
            if rng.random() < 0.05:
                break
            day += float(rng.gamma(regularity, mean / regularity))
    return journal_of(history(bought).order_lines)


@pytest.mark.parametrize("regularity", [1, 2, 3])
def test_the_regularity_of_gaps_is_found(regularity: int) -> None:
    journal = regular_shop(400, 250, regularity=regularity, seed=5)
    assert fit_regular_habit(journal, state_at(journal, ZERO + 250)).regularity == regularity


@pytest.mark.parametrize("regularity", [1, 2, 3])
def test_chances_are_those_of_sums_of_exponential_gaps(regularity: int) -> None:
    """By quadrature over the customer's rate: P(silent to then) / P(silent to now), with P(she has left)."""
    journal = journal_of(history([("a", 0, 5.0), ("a", 12, 5.0), ("a", 30, 5.0)]).order_lines)
    state = state_at(journal, ZERO + 50)
    habit = Habit(1.5, 20.0, 0.8, 6.0, Season(), regularity)
    last, now, then = 30.0, 50.0, 80.0

    def weighed(until: float | None) -> float:
        """Density of two gaps that end at the last purchase, times P(a longer gap than until), over gamma rates."""

        def inside(rate: float) -> float:
            prior = gamma.pdf(rate, habit.shape, scale=1.0 / habit.scale)
            longer = 1.0 if until is None else gamma.sf(until - last, regularity, scale=1.0 / rate)
            return float(prior * rate ** (2 * regularity) * np.exp(-rate * last) * longer)

        return quad(inside, 0.0, 5.0, limit=200, epsabs=0.0)[0]

    stays, leaves = weighed(now), weighed(None) * habit.stop / (habit.stay + 1.0)
    wanted = (stays - weighed(then)) / (stays + leaves)
    assert habit.buys_within(state, np.array([30.0]))[0, 0] == pytest.approx(wanted, rel=1e-5)


def test_gaps_are_those_within_a_customer_and_before_the_day() -> None:
    journal = journal_of(
        history([("a", 0, 5.0), ("a", 12, 5.0), ("b", 3, 5.0), ("b", 10, 5.0), ("a", 30, 5.0)]).order_lines
    )
    assert gaps_before(journal, ZERO + 20).tolist() == [12.0, 7.0]
