"""Simulated: intervals of 95 % cover 94 to 96 %; confidence sequences cover at every look at once."""

from collections.abc import Callable

import numpy as np
import pytest

from experiments.ab.always_valid import AlwaysValid
from experiments.ab.arm_figure import ArmFigure, adjusted_figures, mean_figure, ratio_figure
from experiments.ab.effect import Effect, RelativeMethod, absolute_effect, relative_effect
from experiments.ab.moments import Moments
from experiments.ab.plans import Plan, PlanKind, group_sequential_bounds
from experiments.ab.quantiles import quantile_figure

TRIALS = 4_000
# Of 4,000 trials, a true 95 % is seen as 94 to 96 % in 996 of 1,000 runs; the seed fixes the run.
FROM, TO = 0.94, 0.96
N = 300


def moments(*columns: np.ndarray) -> list[Moments]:
    """The moments of each row of columns [trials, n]."""
    stacked = np.stack(columns)
    mean = stacked.mean(axis=2)
    centred = stacked - mean[:, :, None]
    scatter = np.einsum("ptn,qtn->tpq", centred, centred)
    return [Moments(stacked.shape[2], mean[:, t], scatter[t]) for t in range(stacked.shape[1])]


def covered(effects: list[Effect], truth: float) -> float:
    return float(np.mean([one.low <= truth <= one.high for one in effects]))


def pairs(
    a: list[Moments], b: list[Moments], figure: Callable[[Moments], ArmFigure]
) -> list[tuple[ArmFigure, ArmFigure]]:
    return [(figure(one), figure(other)) for one, other in zip(a, b, strict=True)]


def test_means_with_unequal_arms_and_variances() -> None:
    rng = np.random.default_rng(1)
    a, b = moments(rng.gamma(2, 5, (TRIALS, N))), moments(rng.gamma(2, 7, (TRIALS, N // 3)))
    assert FROM <= covered([absolute_effect(*pair) for pair in pairs(a, b, mean_figure)], 4.0) <= TO


@pytest.mark.parametrize("method", list(RelativeMethod))
def test_relative_effects_where_a_fixed_baseline_would_cover_less(method: RelativeMethod) -> None:
    rng = np.random.default_rng(2)
    figures = pairs(moments(rng.gamma(0.5, 20, (TRIALS, N))), moments(rng.gamma(0.5, 24, (TRIALS, N))), mean_figure)
    assert FROM <= covered([relative_effect(*pair, method=method) for pair in figures], 0.2) <= TO
    naive = [(absolute_effect(*pair), pair[0].value) for pair in figures]
    assert np.mean([one.low / base <= 0.2 <= one.high / base for one, base in naive]) < FROM


def test_proportions_and_ratios() -> None:
    rng = np.random.default_rng(3)
    shares = [moments((rng.random((TRIALS, N)) < p).astype(float)) for p in (0.3, 0.4)]
    assert FROM <= covered([absolute_effect(*pair) for pair in pairs(*shares, mean_figure)], 0.1) <= TO
    orders = [rng.poisson(3.0, (TRIALS, N)) + 1.0 for _ in range(2)]
    spend = [rng.gamma(2.0, 5.0, (TRIALS, N)) * d for d in orders]
    ratios = [moments(m, d) for m, d in zip(spend, orders, strict=True)]
    assert FROM <= covered([absolute_effect(*pair) for pair in pairs(*ratios, ratio_figure)], 0.0) <= TO


def test_cuped_by_two_covariates() -> None:
    rng = np.random.default_rng(4)
    arms = []
    for effect in (0.0, 1.0):
        x = rng.gamma(2, 5, (2, TRIALS, N))
        arms.append(moments(x[0] - 0.5 * x[1] + effect + rng.normal(0, 3, (TRIALS, N)), x[0], x[1]))
    found = [absolute_effect(*adjusted_figures(a, b)) for a, b in zip(*arms, strict=True)]
    assert FROM <= covered(found, 1.0) <= TO


def test_quantiles() -> None:
    rng, found = np.random.default_rng(5), []
    for _ in range(1_500):
        a, b = rng.gamma(2, 5, (2, 1_000))
        found.append(absolute_effect(quantile_figure(a, 0.8), quantile_figure(b + 2.0, 0.8)))
    # Orders of few units make a standard error that is a little too wide.
    assert FROM - 0.005 <= covered(found, 2.0) <= TO + 0.01


def test_sequential_intervals_hold_at_twenty_looks_together() -> None:
    """Skewed data, variances that are estimated at each look."""
    looks, trials, n = 20, 2_000, 100
    rng = np.random.default_rng(6)
    z = np.zeros((trials, looks))
    for first in range(0, trials, 500):
        y = rng.gamma(1.0, 10.0, (2, 500, looks * n))
        size = n * np.arange(1, looks + 1)
        mean = np.cumsum(y, axis=2)[:, :, n - 1 :: n] / size
        variance = (np.cumsum(y**2, axis=2)[:, :, n - 1 :: n] / size - mean**2) / (size - 1)
        z[first : first + 500] = (mean[1] - mean[0]) / np.sqrt(variance.sum(axis=0))
    shares = tuple(float(k) / looks for k in range(1, looks + 1))
    sequence = AlwaysValid(2 * looks * n)
    always = [sequence.multiplier(2 * looks * n * share) for share in shares]
    assert (np.abs(z) <= always).all(axis=1).mean() >= 0.95
    plan = Plan(PlanKind.GROUP_SEQUENTIAL, 2 * looks * n, looks=shares)
    # 2,000 trials know 95 % to half a percent.
    assert (np.abs(z) <= group_sequential_bounds(plan, shares, 0.05)).all(axis=1).mean() >= 0.94
