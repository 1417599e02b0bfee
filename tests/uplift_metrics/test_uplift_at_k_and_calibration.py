from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from decision.errors import InvalidInput, NotEnoughData
from experiments.uplift_metrics import Trial, calibration, calibration_slope, uplift_at_k


def test_uplift_among_the_top_half_equals_a_computation_on_paper(tiny: Trial) -> None:
    found = uplift_at_k(tiny, share=0.5)
    assert (found.uplift, found.treated, found.control) == (1.0, 2, 2)


def test_uplift_of_everybody_is_welchs_test(trial: Trial) -> None:
    even = replace(trial, treatment_probability=np.full(len(trial), 0.5))
    expected = stats.ttest_ind(even.outcome[even.treated], even.outcome[~even.treated], equal_var=False)
    interval = expected.confidence_interval(0.95)
    found = uplift_at_k(even, share=1.0)
    # Degrees of freedom are rounded down to a whole number.
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-4)


def test_ties_at_the_cut_count_in_part(tiny: Trial) -> None:
    """One customer is sure of a place; the other seven share the three places left."""
    tied = replace(tiny, cate=np.array([2.0, 1, 1, 1, 1, 1, 1, 1]))
    share = 3 / 7
    treated = (1 + share * 1) / (1 + share * 3)
    control = (share * 2) / (share * 4)
    assert uplift_at_k(tied, share=0.5).uplift == pytest.approx(treated - control)


@pytest.mark.parametrize("share", [0.0, 1.5, -0.1])
def test_a_share_that_is_none_is_refused(trial: Trial, share: float) -> None:
    with pytest.raises(InvalidInput, match="share must lie in"):
        uplift_at_k(trial, share=share)


def test_too_few_customers_are_not_enough(tiny: Trial) -> None:
    with pytest.raises(NotEnoughData, match="found 1 and 1"):
        uplift_at_k(tiny, share=0.25)


def test_weights_mend_unequal_treatment(simulate: Any) -> None:
    trial, truth = simulate(50_000, seed=5)
    unweighted = replace(trial, treatment_probability=np.full(len(trial), 0.5))
    assert uplift_at_k(trial, share=1.0).uplift == pytest.approx(truth.mean(), abs=0.04)
    assert uplift_at_k(unweighted, share=1.0).uplift > truth.mean() + 0.2


def test_intervals_cover_the_uplift_at_k(simulate: Any) -> None:
    """The top 30 % gain 0.2 + 0.5 E[z | z > z_0.7] on average; their cut is the sample's, hence a little noise."""
    known = 0.2 + 0.5 * stats.norm.pdf(stats.norm.ppf(0.7)) / 0.3
    replicates = 1_000
    found = [uplift_at_k(simulate(1_000, seed=seed)[0], share=0.3) for seed in range(replicates)]
    covered = sum(one.low <= known <= one.high for one in found)
    assert 0.93 <= covered / replicates <= 0.97


def test_calibration_bins_hold_everybody_once(trial: Trial) -> None:
    found = calibration(trial)
    assert len(found.bins) == 10
    assert sum(one.share for one in found.bins) == pytest.approx(1)
    assert sum(one.observed.treated + one.observed.control for one in found.bins) == len(trial)
    predicted = [one.predicted for one in found.bins]
    assert predicted == sorted(predicted)


def test_calibration_error_equals_a_loop(trial: Trial) -> None:
    found = calibration(trial, bins=4)
    order = np.argsort(trial.cate)
    by_hand = 0.0
    for part in np.array_split(order, 4):
        means = [
            np.average(trial.outcome[rows], weights=trial.weight[rows])
            for rows in (part[trial.treated[part]], part[~trial.treated[part]])
        ]
        by_hand += abs(trial.cate[part].mean() - (means[0] - means[1])) / 4
    assert found.expected_error == pytest.approx(by_hand, rel=1e-9)


def test_a_calibrated_model_errs_by_chance_only(simulate: Any) -> None:
    errors = [calibration(simulate(1_000, seed=seed)[0]) for seed in range(100)]
    ratio = np.mean([one.expected_error for one in errors]) / np.mean([one.error_by_chance for one in errors])
    assert ratio == pytest.approx(1, abs=0.1)


def test_a_model_that_promises_too_much_is_seen(simulate: Any) -> None:
    trial, _ = simulate(20_000, seed=3)
    boasting = replace(trial, cate=trial.cate + 1)
    found = calibration(boasting)
    assert found.expected_error == pytest.approx(1, abs=0.1)
    assert found.expected_error > 5 * found.error_by_chance
    assert all(one.predicted > one.observed.high for one in found.bins)


def test_equal_predictions_share_a_bin(trial: Trial) -> None:
    assert len(calibration(replace(trial, cate=np.zeros(len(trial)))).bins) == 1
    assert len(calibration(replace(trial, cate=np.sign(trial.cate))).bins) == 2


def test_bins_too_small_for_an_uplift_are_refused(tiny: Trial) -> None:
    with pytest.raises(NotEnoughData, match="fewer bins"):
        calibration(tiny)
    with pytest.raises(InvalidInput, match="at least 1"):
        calibration(tiny, bins=0)


def test_the_interval_of_the_error_reaches_the_true_one(simulate: Any) -> None:
    """A model that promises 0.3 too much to everybody: its error is 0.3 in every bin."""
    covered = 0
    for seed in range(200):
        trial, truth = simulate(1_000, seed=seed)
        found = calibration(replace(trial, cate=truth + 0.3), bins=5)
        assert 0.0 <= found.error_low <= found.expected_error <= found.error_high
        covered += found.error_low <= 0.3 <= found.error_high
    assert covered >= 190


def test_a_calibrated_model_may_have_no_error(simulate: Any) -> None:
    assert sum(calibration(simulate(1_000, seed=seed)[0]).error_low == 0.0 for seed in range(100)) >= 95


@pytest.mark.parametrize(("stretch", "slope"), [(1.0, 1.0), (2.0, 0.5), (-1.0, -1.0)])
def test_the_calibration_slope_says_how_much_of_a_prediction_is_real(
    simulate: Any, stretch: float, slope: float
) -> None:
    trial, truth = simulate(20_000, seed=3)
    found = calibration_slope(replace(trial, cate=stretch * truth))
    assert found.low < slope < found.high
    assert found.standard_error < 0.06


def test_slopes_cover_and_noise_has_none(simulate: Any) -> None:
    covered = {1.0: 0, 0.0: 0}
    for seed in range(300):
        trial, _ = simulate(600, seed=seed)
        noise = replace(trial, cate=np.random.default_rng(1_000 + seed).normal(size=600))
        for slope, one in ((1.0, trial), (0.0, noise)):
            found = calibration_slope(one)
            covered[slope] += found.low <= slope <= found.high
    # 300 trials have a Monte-Carlo error of 1.3 points; sandwich errors run a little short.
    assert all(0.91 <= n / 300 <= 0.98 for n in covered.values())


def test_the_slope_is_the_least_squares_fit_by_hand(simulate: Any) -> None:
    """With even chances and centred regressors the weights cancel."""
    trial, _ = simulate(2_000, seed=9)
    even = replace(trial, treatment_probability=np.full(2_000, 0.5))
    centred = even.cate - even.cate.mean()
    design = np.column_stack([np.ones(2_000), centred, even.treated - 0.5, (even.treated - 0.5) * centred])
    by_hand = np.linalg.lstsq(design, even.outcome, rcond=None)[0]
    assert calibration_slope(even).value == pytest.approx(by_hand[3], rel=1e-9)


def test_equal_predictions_have_no_slope(trial: Trial) -> None:
    with pytest.raises(NotEnoughData, match="different predictions"):
        calibration_slope(replace(trial, cate=np.zeros(len(trial))))
    even = replace(trial, treatment_probability=np.full(len(trial), 0.5))
    with pytest.raises(NotEnoughData, match="treated and control customers alike"):
        calibration_slope(replace(even, cate=even.treated.astype(float)))


def test_a_difference_knows_customers_who_come_twice(trial: Trial) -> None:
    """All rows doubled: treated and control customers stay apart, so Welch's error per customer is the truth."""
    even = replace(trial, treatment_probability=np.full(len(trial), 0.5))
    rows = np.repeat(np.arange(len(trial)), 2)
    fields = ("outcome", "treated", "cate", "treatment_probability")
    doubled = Trial(*(getattr(even, name)[rows] for name in fields), customer=rows)
    once, twice = uplift_at_k(even, share=1.0), uplift_at_k(doubled, share=1.0)
    assert twice.uplift == pytest.approx(once.uplift)
    assert twice.standard_error == pytest.approx(once.standard_error, rel=2e-3)
