import numpy as np
import pytest
from scipy.stats import chisquare

from experiments.importing.srm import THRESHOLD, ArmCounts


def test_the_p_value_is_pearson_s():
    counts = ArmCounts({"a": 480, "b": 520, "c": 1100}, {"a": 0.25, "b": 0.25, "c": 0.5})
    assert counts.p_value == pytest.approx(chisquare([480, 520, 1100], [525, 525, 1050]).pvalue)


def test_counts_as_designed_have_a_p_value_of_one():
    assert ArmCounts({"a": 10, "b": 30}, {"a": 0.25, "b": 0.75}).p_value == 1.0


def test_a_trial_that_followed_its_design_is_refused_about_once_in_a_thousand():
    rng = np.random.default_rng(7)
    design = {"a": 0.2, "b": 0.3, "c": 0.5}
    draws = rng.multinomial(5_000, list(design.values()), size=20_000)
    alarms = sum(ArmCounts(dict(zip(design, map(int, row), strict=True)), design).mismatch for row in draws)
    # 20 expected; six standard deviations of a binomial around it.
    assert abs(alarms - 20_000 * THRESHOLD) < 6 * np.sqrt(20_000 * THRESHOLD)
