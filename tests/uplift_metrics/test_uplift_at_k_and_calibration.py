from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from decision.errors import InvalidInput, NotEnoughData
from experiments.uplift_metrics import Trial, calibration, uplift_at_k


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
