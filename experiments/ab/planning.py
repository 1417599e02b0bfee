"""Before a test: how many units, how long, how small an effect, and whether it can answer in time at all."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from scipy.optimize import brentq

from decision.errors import InvalidInput
from experiments.ab.always_valid import AlwaysValid
from experiments.ab.boundaries import crossing_chances
from experiments.ab.plans import Plan, PlanKind, group_sequential_bounds
from experiments.ab.power import Design, detectable_effect, fewest_units, power, sample_size, whole

_LIFETIME = 100_000
_LOOKS_OF_ALWAYS_VALID = tuple(np.linspace(0.05, 1.0, 20))


@dataclass(frozen=True, slots=True)
class Traffic:
    """How units come: so many a day into all arms together, each measured `window_days` after it came."""

    units_per_day: float
    window_days: float = 0.0

    def __post_init__(self) -> None:
        if not self.units_per_day > 0 or self.window_days < 0:
            raise InvalidInput(
                f"Expected units a day above 0 and a window of 0 days or more, found {self.units_per_day:g} and "
                f"{self.window_days:g}."
            )

    def days(self, units: float) -> float:
        """Return the days until so many units have been measured."""
        return units / self.units_per_day + self.window_days


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a plan takes for an effect.

    Parameters
    ----------
    units : of all arms together, at the most.
    expected_units : on average, where the effect is there and the test stops once it is seen.
    days, expected_days : until these have been measured.
    """

    plan: Plan
    effect: float
    power: float
    units: int
    expected_units: float
    days: float
    expected_days: float

    def sentence(self, starts: date) -> str:
        """Return what can be expected in words, with dates."""
        last = day_after(starts, self.days)
        when = f"not before {last}" if last else "not in this lifetime"
        text = (
            f"An effect of {self.effect:g} is found with a chance of {100 * self.power:.0f} % from {self.units:,} units"
        )
        if self.plan.kind is PlanKind.FIXED:
            return f"{text}; the test can answer {when}."
        usual = day_after(starts, self.expected_days)
        about = f", about {usual}" if usual else ""
        return f"{text}, {when} at the latest; on average it stops at {self.expected_units:,.0f} units{about}."


def day_after(starts: date, days: float) -> date | None:
    """Return the day so many days later; None where nobody will be there to see it."""
    left = (date.max - starts).days
    return starts + timedelta(days=math.ceil(days)) if days < min(_LIFETIME, left) else None


def plan_power(plan: Plan, design: Design, effect: float) -> float:
    """Return the chance that a plan finds an effect by its last look."""
    design = replace(design, alpha=plan.alpha)
    if plan.kind is PlanKind.FIXED:
        return power(design, effect, plan.units)
    return sum(_stops(plan, effect / design.standard_error(plan.units)))


def forecast(plan: Plan, design: Design, effect: float, traffic: Traffic, wanted: float = 0.8) -> Forecast:
    """Return the size that a plan of this kind needs for an effect; the plan's own `units` are replaced by it."""
    design = replace(design, alpha=plan.alpha)
    least = sample_size(design, effect, wanted)
    if plan.kind is PlanKind.FIXED:
        sized = replace(plan, units=whole(least, design.ratio))
    else:
        # Boundaries depend on shares of the units alone, so the drift that has this power is found once.
        looks, bounds = _looks(plan), _bounds(plan)
        drift = float(brentq(lambda d: sum(crossing_chances(looks, bounds, d)) - wanted, 0.5, 12.0, xtol=1e-6))
        one = design.standard_error(1.0)
        # With fewer units than two in an arm there is no spread.
        sized = replace(plan, units=max(whole((drift * one / effect) ** 2, design.ratio), fewest_units(design.ratio)))
    return _forecast(sized, design, effect, traffic)


def smallest_effect(plan: Plan, design: Design, wanted: float = 0.8) -> float:
    """Return the smallest effect that a plan finds with this power at its units."""
    design = replace(design, alpha=plan.alpha)
    error = design.standard_error(plan.units)
    if plan.kind is PlanKind.FIXED:
        return detectable_effect(design, plan.units, wanted)
    looks, bounds = _looks(plan), _bounds(plan)
    return error * float(brentq(lambda d: sum(crossing_chances(looks, bounds, d)) - wanted, 0.05, 30.0, xtol=1e-6))


def _forecast(plan: Plan, design: Design, effect: float, traffic: Traffic) -> Forecast:
    expected = plan.units
    if plan.kind is not PlanKind.FIXED:
        chances = np.array(_stops(plan, effect / design.standard_error(plan.units)))
        expected = float(plan.units * (chances @ np.array(_looks(plan)) + (1 - chances.sum())))
    return Forecast(
        plan,
        effect,
        plan_power(plan, design, effect),
        int(plan.units),
        expected,
        traffic.days(plan.units),
        traffic.days(expected),
    )


def _looks(plan: Plan) -> tuple[float, ...]:
    return plan.looks if plan.kind is PlanKind.GROUP_SEQUENTIAL else _LOOKS_OF_ALWAYS_VALID


def _stops(plan: Plan, drift: float) -> list[float]:
    """Return the chance to stop at each look, where the effect is `drift` standard errors at the end."""
    return crossing_chances(_looks(plan), _bounds(plan), drift)


def _bounds(plan: Plan) -> list[float]:
    """Return the boundaries of Z; an always-valid plan is taken to be looked at twenty times, more find a little
    more."""
    if plan.kind is PlanKind.GROUP_SEQUENTIAL:
        return group_sequential_bounds(plan, plan.looks, plan.alpha)
    sequence = AlwaysValid(1.0, plan.alpha)
    return [sequence.multiplier(look) for look in _looks(plan)]
