"""Plans: published boundaries, error kept at twenty looks, power, planning, guardrail metrics."""

import math
from datetime import date

import numpy as np
import pytest
from scipy.special import ndtr

from decision.errors import InvalidInput
from experiments.ab.always_valid import AlwaysValid
from experiments.ab.boundaries import boundaries, crossing_chances
from experiments.ab.effect import Confidence, interval
from experiments.ab.noninferiority import Better, Safety, guarded
from experiments.ab.planning import Traffic, forecast, plan_power, smallest_effect
from experiments.ab.plans import Plan, PlanKind, group_sequential_bounds, read
from experiments.ab.power import Design, detectable_effect, power, sample_size
from experiments.ab.spending import Spending

TWENTY = tuple(float(k) for k in np.arange(1, 21) / 20)
SETTING = 20_000
"""Units of both arms at the last of twenty looks, where one look finds 0.05 standard deviations in 94 of 100 trials."""


def sequential(spending: Spending = Spending.OBRIEN_FLEMING, looks: tuple[float, ...] = TWENTY) -> Plan:
    return Plan(PlanKind.GROUP_SEQUENTIAL, SETTING, looks=looks, spending=spending)


def paths(effect: float, rng: np.random.Generator, n: int = 40_000) -> np.ndarray:
    """z[n, 20] at the looks, for an effect in standard deviations."""
    steps = rng.normal(size=(n, 20)).cumsum(axis=1) / np.sqrt(np.arange(1, 21))
    return steps + effect / Design(1.0, 1.0).standard_error(SETTING) * np.sqrt(TWENTY)


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        (Spending.OBRIEN_FLEMING, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310]),
        (Spending.POCOCK, [2.4380, 2.4268, 2.4101, 2.3966, 2.3859]),
    ],
)
def test_boundaries_are_those_published_by_lan_and_demets(spending: Spending, published: list[float]) -> None:
    looks = (0.2, 0.4, 0.6, 0.8, 1.0)
    found = group_sequential_bounds(sequential(spending, looks), looks, 0.05)
    assert found == pytest.approx(published, abs=1.5e-4)


def test_what_boundaries_spend_is_what_they_were_given() -> None:
    looks = (0.1, 0.15, 0.6, 0.601, 1.0)
    spent = [Spending.POCOCK.spent(look, 0.05) for look in looks]
    chances = crossing_chances(looks, boundaries(looks, spent))
    assert np.cumsum(chances) == pytest.approx(spent, abs=1e-8)
    assert spent[-1] == pytest.approx(0.05)


def test_one_look_is_a_fixed_test() -> None:
    assert boundaries([1.0], [0.05]) == pytest.approx([1.959964], abs=1e-6)
    assert crossing_chances([1.0], [1.959964], 2.8)[0] == pytest.approx(float(ndtr(2.8 - 1.959964)), abs=1e-5)


@pytest.mark.parametrize("spending", list(Spending))
def test_twenty_looks_without_an_effect_alarm_falsely_as_often_as_they_say(spending: Spending) -> None:
    bounds = group_sequential_bounds(sequential(spending), TWENTY, 0.05)
    found = (np.abs(paths(0.0, np.random.default_rng(1))) > bounds).any(axis=1).mean()
    # The exact chance is .05; 40,000 trials know it to .001.
    assert found == pytest.approx(0.05, abs=0.0033)
    assert sum(crossing_chances(TWENTY, bounds)) <= 0.05 + 1e-9


def test_group_sequential_power_is_near_that_of_one_look() -> None:
    bounds = group_sequential_bounds(sequential(), TWENTY, 0.05)
    found = (np.abs(paths(0.05, np.random.default_rng(2))) > bounds).any(axis=1).mean()
    assert found >= 0.92
    assert plan_power(sequential(), Design(1.0, 1.0), 0.05) == pytest.approx(found, abs=0.005)


def test_the_confidence_sequence_holds_at_twenty_looks_and_still_finds() -> None:
    bounds = [AlwaysValid(SETTING).multiplier(SETTING * look) for look in TWENTY]
    assert (np.abs(paths(0.0, np.random.default_rng(3))) > bounds).any(axis=1).mean() <= 0.05
    assert (np.abs(paths(0.05, np.random.default_rng(4))) > bounds).any(axis=1).mean() >= 0.70


def test_a_fixed_interval_looked_at_twenty_times_does_not() -> None:
    assert (np.abs(paths(0.0, np.random.default_rng(5))) > 1.96).any(axis=1).mean() > 0.2


def test_readings_by_plan() -> None:
    fixed = interval(0.05, 0.02, 4_000.0, Confidence())
    early = read(Plan(PlanKind.FIXED, 10_000), fixed, 4_000)
    assert early.too_early
    assert "not to be read yet" in early.sentence
    assert not read(Plan(PlanKind.FIXED, 4_000), fixed, 4_000).too_early
    always = read(Plan(PlanKind.ALWAYS_VALID, 10_000), fixed, 4_000)
    assert not always.too_early
    assert always.effect.high > fixed.high
    plan = sequential(looks=(0.25, 0.5, 1.0))
    assert read(plan, fixed, 4_000).too_early
    second = read(plan, fixed, 10_000)
    assert fixed.high < second.effect.high
    assert "look 2" in second.sentence
    last = read(plan, fixed, 21_000).effect
    assert fixed.high < last.high < second.effect.high


def test_the_repeated_p_value_and_interval_say_the_same() -> None:
    plan = sequential(looks=(0.5, 1.0))
    for estimate in (0.055, 0.065):
        found = read(plan, interval(estimate, 0.02, math.inf, Confidence()), 10_000).effect
        assert (found.p_value < 0.05) == (found.low > 0)


def test_power_sample_size_and_effect_are_each_others_inverse() -> None:
    design = Design(30.0, 33.0, ratio=3.0)
    for student in (False, True):
        n = sample_size(design, 0.5, 0.9, student=student)
        assert power(design, 0.5, n, student=student) == pytest.approx(0.9, abs=1e-9)
        assert detectable_effect(design, n, 0.9, student=student) == pytest.approx(0.5, rel=1e-8)


def test_small_effects_have_a_sample_size() -> None:
    """tea-tasting's solver gives up or is wrong there."""
    n = sample_size(Design(1.0, 1.0), 1e-5, 0.8)
    assert n == pytest.approx(4 * (1.959964 + 0.841621) ** 2 / 1e-10, rel=1e-5)


@pytest.mark.parametrize("kind", list(PlanKind))
def test_forecasts_have_the_power_they_were_asked_for(kind: PlanKind) -> None:
    looks = (0.25, 0.5, 0.75, 1.0) if kind is PlanKind.GROUP_SEQUENTIAL else ()
    found = forecast(Plan(kind, 1, looks=looks), Design(5.0, 5.0), 0.3, Traffic(100.0, 14.0), 0.9)
    assert found.power == pytest.approx(0.9, abs=1e-3)
    assert found.days == pytest.approx(found.units / 100 + 14)
    assert found.expected_units <= found.units
    assert smallest_effect(found.plan, Design(5.0, 5.0), 0.9) == pytest.approx(0.3, rel=1e-3)


def test_a_test_that_cannot_answer_in_time_says_so() -> None:
    found = forecast(Plan(PlanKind.FIXED, 1), Design(5.0, 5.0), 0.3, Traffic(100.0, 14.0))
    assert "not before 2027-03-07" in found.sentence(date(2026, 11, 25))
    never = forecast(Plan(PlanKind.FIXED, 1), Design(5.0, 5.0), 0.001, Traffic(1.0))
    assert "not in this lifetime" in never.sentence(date(2026, 11, 25))


def test_guardrail_metrics_are_safe_harmed_or_open() -> None:
    def of(low: float, high: float) -> Safety:
        half = (high - low) / 2
        effect = interval((low + high) / 2, half / 1.959964, math.inf, Confidence())
        return guarded(effect, margin=0.02, better=Better.LOWER).safety

    assert of(-0.01, 0.019) is Safety.SAFE
    assert of(0.021, 0.03) is Safety.HARMED
    assert of(0.01, 0.03) is Safety.OPEN
    with pytest.raises(InvalidInput, match="above 0"):
        guarded(interval(0.0, 1.0, 9.0, Confidence()), margin=0.0, better=Better.HIGHER)
