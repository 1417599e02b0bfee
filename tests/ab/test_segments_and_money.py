"""Segments shrink as far as chance explains them; money adds up, and its return covers."""

import math

import numpy as np
import pytest

from decision.errors import NotEnoughData
from experiments.ab.effect import Confidence, interval
from experiments.ab.heterogeneity import shrunk
from experiments.ab.moments import Moments
from experiments.ab.money import money


def effects(values: np.ndarray, error: float) -> dict:
    return {f"s{k}": interval(float(v), error, math.inf, Confidence()) for k, v in enumerate(values)}


def test_segments_that_differ_by_chance_are_all_the_common_effect() -> None:
    found = shrunk("zone", effects(np.array([0.9, 1.0, 1.1]), 0.5))
    assert all(one.kept < 0.5 for one in found.segments)
    assert [one.estimate for one in found.segments] == pytest.approx([1.0] * 3, abs=0.05)
    assert found.p_value > 0.9


def test_segments_that_really_differ_keep_their_own() -> None:
    found = shrunk("zone", effects(np.array([-5.0, 0.0, 5.0]), 0.1))
    assert [one.estimate for one in found.segments] == pytest.approx([-5, 0, 5], abs=0.02)
    assert found.p_value < 1e-6


def test_shrunk_intervals_cover_and_are_nearer_to_the_truth() -> None:
    rng, covered, own, ours = np.random.default_rng(3), [], [], []
    for _ in range(400):
        truth = 1 + 0.5 * rng.normal(size=20)
        seen = truth + 0.5 * rng.normal(size=20)
        found = shrunk("zone", effects(seen, 0.5)).segments
        covered += [s.low <= t <= s.high for s, t in zip(found, truth, strict=True)]
        own.append(np.mean((seen - truth) ** 2))
        ours.append(np.mean((np.array([s.estimate for s in found]) - truth) ** 2))
    # A little below 95 %: twenty segments know their spread to a quarter.
    assert np.mean(covered) >= 0.92
    assert np.mean(ours) < 0.65 * np.mean(own)


def test_one_segment_is_none() -> None:
    with pytest.raises(NotEnoughData, match="two segments"):
        shrunk("zone", effects(np.array([1.0]), 0.1))


def arms(rng: np.random.Generator, n: int) -> tuple[Moments, Moments]:
    """Margin 10, and 11.5 where treated at a cost of 1 on average: a return of .5."""
    margin = rng.gamma(2, 5, (2, n))
    cost = 2.0 * (rng.random(n) < 0.5)
    return Moments.of(margin[0], np.zeros(n)), Moments.of(margin[1] + 1.5 * cost, cost)


def test_money_adds_up() -> None:
    control, treatment = arms(np.random.default_rng(1), 5_000)
    found = money(control, treatment)
    gap = treatment.mean - control.mean
    assert found.net_per_unit.estimate == pytest.approx(gap[0] - gap[1])
    assert found.net_total.estimate == pytest.approx(5_000 * found.net_per_unit.estimate)
    assert found.holdout_cost.high == pytest.approx(5_000 * found.net_per_unit.high)
    assert found.return_on_cost.estimate == pytest.approx(gap[0] / gap[1] - 1)


def test_the_return_on_incentives_covers() -> None:
    rng, covered = np.random.default_rng(2), []
    for _ in range(600):
        back = money(*arms(rng, 400)).return_on_cost
        covered.append(back.low <= 0.5 <= back.high)
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


def test_where_nothing_was_spent_there_is_no_return() -> None:
    rng = np.random.default_rng(1)
    control, treatment = (Moments.of(rng.gamma(2, 5, 100), np.zeros(100)) for _ in range(2))
    found = money(control, treatment)
    assert found.return_on_cost is None
    assert found.no_return == "Nothing was spent."
