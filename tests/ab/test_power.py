"""Power, sizes and smallest effects over all settings, beside statsmodels and by quadrature."""

import math
import warnings

import numpy as np
import pytest
from scipy.special import gammaln, ndtr
from statsmodels.stats.power import NormalIndPower, TTestIndPower

from decision.errors import InvalidInput
from experiments.ab.power import Design, detectable_effect, power, sample_size
from experiments.ab.tails import quantile


def by_quadrature(shift: float, n: float, alpha: float) -> float:
    """P(|T| > critical) of the noncentral t, as the mean of a normal's tails over the estimated spread."""
    degrees = n - 2
    v = np.linspace(1e-9, 1 + 14 / math.sqrt(2 * degrees), 40_001)
    x = v * math.sqrt(degrees)
    log_density = (1 - degrees / 2) * math.log(2) + (degrees - 1) * np.log(x) - x * x / 2 - gammaln(degrees / 2)
    edge = quantile(1 - alpha / 2, degrees) * v
    tails = ndtr(shift - edge) + ndtr(-shift - edge)
    return float(np.trapezoid(np.exp(log_density) * math.sqrt(degrees) * tails, v))


@pytest.mark.parametrize("n", [5, 30, 400])
@pytest.mark.parametrize("shift", [0.0, 0.7, -2.8, 6.0, 40.0])
def test_power_of_students_test_by_quadrature(n: int, shift: float) -> None:
    design = Design(30.0, 30.0, 0.5, 0.01)
    found = power(design, shift * design.standard_error(n), n, student=True)
    assert found == pytest.approx(by_quadrature(shift, n, 0.01), abs=1e-6)


@pytest.mark.parametrize("ratio", [0.05, 1.0, 3.0])
@pytest.mark.parametrize("sd", [1.0, 30.0])
def test_power_is_that_of_statsmodels_and_a_number_where_that_has_none(ratio: float, sd: float) -> None:
    for alpha in (0.01, 0.1):
        for effect in (0.001, 0.5, -0.7, 20.0):
            for n in (200, 80_000, 10_000_000):
                design, n1 = Design(sd, sd, ratio, alpha), n / (1 + ratio)
                theirs = NormalIndPower().power(effect / sd, n1, alpha, ratio)
                assert power(design, effect, n) == pytest.approx(theirs, rel=1e-6)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    theirs = TTestIndPower().power(effect / sd, n1, alpha, ratio=ratio)
                ours = power(design, effect, n, student=True)
                assert 0 < ours <= 1
                assert math.isnan(theirs) or ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("student", [False, True])
@pytest.mark.parametrize("wanted", [0.5, 0.8, 0.99])
def test_sizes_and_smallest_effects_have_the_power_that_was_wanted(wanted: float, *, student: bool) -> None:
    """Found over nine orders of magnitude; statsmodels' smallest effects are off by up to 4e-4 there."""
    for alpha in (0.01, 0.1):
        for ratio in (0.2, 1.0, 4.0):
            design = Design(30.0, 20.0, ratio, alpha)
            for n in (20.0, 500.0, 1e6, 1e10):
                effect = detectable_effect(design, n, wanted, student=student)
                assert power(design, effect, n, student=student) == pytest.approx(wanted, abs=1e-9)
                assert sample_size(design, effect, wanted, student=student) == pytest.approx(n, rel=1e-7)


def test_too_few_units_are_refused() -> None:
    with pytest.raises(InvalidInput, match="more than 2 units in both arms together, found 2"):
        power(Design(1.0, 1.0), 0.1, 2, student=True)
    with pytest.raises(InvalidInput, match="more than 0 units"):
        power(Design(1.0, 1.0), 0.1, 0)
    with pytest.raises(InvalidInput, match="take more units"):
        detectable_effect(Design(1.0, 1.0, 1.0, 1e-9), 2.5, 0.99, student=True)
