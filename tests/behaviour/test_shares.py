"""Intervals of shares lie where shares do, and hold what they promise."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from experiments.behaviour.base_figures import Spread
from experiments.behaviour.shares import wilson, wilson_of_mean


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (7, 8), (63, 64), (0, 400), (12, 400)])
def test_wilson_is_that_of_statsmodels(hits: int, n: int) -> None:
    assert wilson(hits / n, float(n)) == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-8)


@pytest.mark.parametrize("values", [[1.0] * 7 + [0.0], [0.0] * 30 + [1.0], [1.0], [0.0], [0.02, 0.0, 0.9], [0.5, 0.5]])
def test_the_interval_of_a_share_lies_in_0_to_1_and_holds_it(values: list[float]) -> None:
    found = Spread.of_shares(np.array([*values, np.nan]))
    assert (found.n, found.mean) == (len(values), pytest.approx(np.mean(values)))
    assert 0.0 <= found.low <= found.mean <= found.high <= 1.0
    assert found.low < found.high


def test_of_nobody_nothing_is_known() -> None:
    assert Spread.of_shares(np.array([np.nan])).n == 0


@pytest.mark.parametrize(("chance", "n"), [(0.5, 8), (0.9, 15), (0.05, 40), (0.97, 200)])
def test_buyers_who_came_back_are_covered(chance: float, n: int) -> None:
    """4,000 shops: 95 % of intervals hold the truth; single counts are coarse, so .925 to .985."""
    drawn = np.random.default_rng(5).binomial(1, chance, size=(4_000, n)).astype(float)
    assert 0.925 < covered(drawn, chance) < 0.985


@pytest.mark.parametrize(("n", "least"), [(30, 0.91), (200, 0.93)])
def test_shares_of_money_that_came_back_are_covered(n: int, least: float) -> None:
    """Seven of ten return nothing, the rest anything: the mean is .15."""
    rng = np.random.default_rng(6)
    drawn = rng.uniform(size=(4_000, n)) * rng.binomial(1, 0.3, size=(4_000, n))
    assert least < covered(drawn, 0.15) < 0.985


def covered(drawn: np.ndarray, truth: float) -> float:
    ends = np.array([wilson_of_mean(values) for values in drawn])
    return float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1])))
