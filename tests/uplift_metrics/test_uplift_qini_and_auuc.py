from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from decision.errors import InvalidInput
from experiments.uplift_metrics import Curve, Trial, auuc, qini
from experiments.uplift_metrics.ranking import Ranking

FIELDS = ("outcome", "treated", "cate", "treatment_probability")
METRICS = {"qini": qini, "auuc": auuc}


@pytest.fixture(params=sorted(METRICS))
def metric(request: pytest.FixtureRequest) -> Callable[..., Curve]:
    return METRICS[str(request.param)]


def qini_by_hand(trial: Trial) -> list[float]:
    """Radcliffe's formula, customer by customer; no ties, equal probabilities."""
    n_treated = sum(trial.treated)
    heights, y_t, y_c, n_t, n_c = [0.0], 0.0, 0.0, 0, 0
    for i in np.argsort(-trial.cate):
        if trial.treated[i]:
            y_t, n_t = y_t + trial.outcome[i], n_t + 1
        else:
            y_c, n_c = y_c + trial.outcome[i], n_c + 1
        heights.append((y_t - (y_c * n_t / n_c if n_c else 0.0)) / n_treated)
    return heights


def trapezes(heights: list[float]) -> float:
    return sum((a + b) / 2 for a, b in pairwise(heights)) / (len(heights) - 1)


def test_qini_equals_a_computation_on_paper(tiny: Trial) -> None:
    """Treated outcomes so far 1 1 2 2 2 2 2 2; control's, scaled by N_t / N_c: - 0 0 0 2/3 1 4/3 2."""
    on_paper = np.array([0, 1, 1, 2, 2, 4 / 3, 1, 2 / 3, 0]) / 4
    assert qini_by_hand(tiny) == pytest.approx(on_paper)
    found = qini(tiny, seed=1)
    assert found.gain == pytest.approx(np.interp(found.fraction, np.linspace(0, 1, 9), on_paper))
    assert found.area == pytest.approx(9 / 8 / 4)
    assert found.above_random == pytest.approx(9 / 8 / 4 - on_paper[-1] / 2)


def test_qini_equals_radcliffes_loop(trial: Trial) -> None:
    even = replace(trial, treatment_probability=np.full(len(trial), 0.3))
    heights = qini_by_hand(even)
    found = qini(even, seed=1, replicates=50)
    assert found.area == pytest.approx(trapezes(heights), rel=1e-9)
    assert found.above_random == pytest.approx(trapezes(heights) - heights[-1] / 2, rel=1e-9)


def test_auuc_equals_a_loop(simulate: Any) -> None:
    few, _ = simulate(200, seed=6)
    order, heights = np.argsort(-few.cate), [0.0]
    for top in range(1, 201):
        means = []
        for group in (few.treated, ~few.treated):
            chosen = [i for i in order[:top] if group[i]]
            total = sum(few.weight[chosen])
            means.append(few.weight[chosen] @ few.outcome[chosen] / total if chosen else 0.0)
        heights.append(top / 200 * (means[0] - means[1]))
    assert auuc(few, seed=1, replicates=50).area == pytest.approx(trapezes(heights), rel=1e-9)


def test_the_end_of_the_auuc_curve_is_the_average_uplift(trial: Trial) -> None:
    mean = [np.average(trial.outcome[group], weights=trial.weight[group]) for group in (trial.treated, ~trial.treated)]
    assert auuc(trial, seed=1, replicates=50).gain[-1] == pytest.approx(mean[0] - mean[1], rel=1e-9)


def test_equal_predictions_rank_nobody(metric: Callable[..., Curve], trial: Trial) -> None:
    found = metric(replace(trial, cate=np.zeros(len(trial))), seed=1, replicates=50)
    assert found.above_random == pytest.approx(0, abs=1e-12)
    assert found.gain == pytest.approx(found.fraction * found.gain[-1], abs=1e-12)


def test_the_order_of_rows_does_not_matter(metric: Callable[..., Curve], trial: Trial) -> None:
    coarse = replace(trial, cate=trial.cate.round(1))
    shuffle = np.random.default_rng(0).permutation(len(trial))
    rows = Trial(*(getattr(coarse, name)[shuffle] for name in FIELDS))
    before, after = (metric(one, seed=1, replicates=50) for one in (coarse, rows))
    assert after.gain == pytest.approx(before.gain, rel=1e-9)
    assert after.area == pytest.approx(before.area, rel=1e-9)


def test_only_the_ranking_counts(metric: Callable[..., Curve], trial: Trial) -> None:
    stretched = replace(trial, cate=np.exp(3 * trial.cate) - 7)
    assert metric(stretched, seed=1).area == metric(trial, seed=1).area


def test_the_true_uplift_ranks_better_than_its_opposite(metric: Callable[..., Curve], trial: Trial) -> None:
    right, wrong = metric(trial, seed=1), metric(replace(trial, cate=-trial.cate), seed=1)
    assert right.above_random_low > 0 > wrong.above_random_high


def test_the_same_seed_gives_the_same_band(metric: Callable[..., Curve], trial: Trial) -> None:
    once, again, other = (metric(trial, seed=seed, replicates=50) for seed in (1, 1, 2))
    assert (once.low == again.low).all()
    assert (once.low != other.low).any()
    assert (once.low <= once.high).all()


def test_a_resample_is_what_ranking_its_customers_again_gives(trial: Trial) -> None:
    coarse = replace(trial, cate=trial.cate.round(1))
    ranking = Ranking.of(coarse)
    copies = np.random.default_rng(0).integers(3, size=len(trial))
    copies[:5] = 1
    rows = np.repeat(ranking.order, copies)
    again = Trial(*(getattr(coarse, name)[rows] for name in FIELDS))
    resampled, expected = ranking.top(copies.astype(float)), Ranking.of(again).top()
    for name in ("treated_share", "treated_mean", "control_mean"):
        found = np.interp(expected.fraction[1:], resampled.fraction[1:], getattr(resampled, name)[1:])
        assert found == pytest.approx(getattr(expected, name)[1:], rel=1e-9)


def test_more_confidence_is_a_wider_band_in_the_normal_proportion(trial: Trial) -> None:
    """One and 1.96 standard errors; 1,000 replicates know the ratio within a tenth."""
    narrow, wide = (auuc(trial, seed=1, replicates=1_000, level=level) for level in (0.6827, 0.95))
    ratio = (wide.area_high - wide.area_low) / (narrow.area_high - narrow.area_low)
    assert ratio == pytest.approx(1.96, rel=0.1)


def test_a_band_needs_replicates(metric: Callable[..., Curve], trial: Trial) -> None:
    with pytest.raises(InvalidInput, match=r"found 10 and 0\.95"):
        metric(trial, seed=1, replicates=10)


def test_bootstrap_intervals_cover_the_area(simulate: Any) -> None:
    """AUUC above random of a perfect ranking is known here: the mean of the top share in closed form."""
    truth = simulate(400_000, seed=77)[1]
    ranked = np.sort(truth)[::-1]
    known = float(np.cumsum(ranked).mean()) / len(ranked) - truth.mean() / 2
    covered = 0
    for seed in range(200):
        found = auuc(simulate(600, seed=seed)[0], seed=seed, replicates=100)
        covered += found.above_random_low <= known <= found.above_random_high
    # 200 trials have a Monte-Carlo error of 1.5 points, and 100 replicates cut a percentile band a little short.
    assert 0.90 <= covered / 200 <= 0.98


def test_no_ranking_has_a_higher_qini_than_a_perfect_one() -> None:
    """Outcomes without noise, each customer in both groups: the curve is the cumulated true uplift."""
    rng = np.random.default_rng(1)
    truth = np.repeat(rng.normal(size=500), 2)
    treated = np.tile([True, False], 500)
    fair = Trial(truth * treated, treated, truth, np.full(1_000, 0.5))
    best = qini(fair, seed=1, replicates=50).above_random
    for seed in range(20):
        noise = np.repeat(np.random.default_rng(1_000 + seed).normal(size=500), 2)
        assert qini(replace(fair, cate=truth + noise), seed=1, replicates=50).above_random < best


def test_the_interval_of_a_random_ranking_covers_nothing(simulate: Any) -> None:
    covered = 0
    for seed in range(60):
        trial, _ = simulate(400, seed=seed)
        found = qini(replace(trial, cate=np.random.default_rng(1_000 + seed).random(400)), seed=seed, replicates=100)
        covered += found.above_random_low <= 0.0 <= found.above_random_high
    assert covered >= 52


def test_bands_know_that_customers_come_twice(metric: Callable[..., Curve], trial: Trial) -> None:
    """Rows doubled without ids look like twice the evidence, with ids like what they are."""
    rows = np.repeat(np.arange(len(trial)), 2)
    doubled = Trial(*(getattr(trial, name)[rows] for name in FIELDS))
    once, twice = metric(trial, seed=1), metric(replace(doubled, customer=rows), seed=1)
    assert twice.area == pytest.approx(once.area, rel=1e-9)
    assert twice.area_high - twice.area_low == pytest.approx(once.area_high - once.area_low, rel=1e-9)
    blind = metric(doubled, seed=1)
    assert blind.area_high - blind.area_low < 0.85 * (once.area_high - once.area_low)
