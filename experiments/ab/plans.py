"""How a test is read, named before anybody looks: once at the end, at any time, or at planned looks.

The interval of each plan is right for that plan alone: a fixed interval that is looked at twenty times excludes 0 in a
quarter of the tests without any effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from scipy.optimize import brentq
from scipy.special import ndtr

from decision.errors import InvalidInput
from experiments.ab.always_valid import AlwaysValid
from experiments.ab.boundaries import SMALLEST_STEP, boundaries, checked_looks
from experiments.ab.effect import Effect
from experiments.ab.spending import Spending
from experiments.ab.tails import quantile

# A few units that are missing at the end are no look before it.
_NEARLY = 0.99


class PlanKind(StrEnum):
    """When the result may be read."""

    FIXED = "fixed"
    ALWAYS_VALID = "always_valid"
    GROUP_SEQUENTIAL = "group_sequential"


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan.

    Parameters
    ----------
    units : of all arms together: where a fixed plan is read, where a group-sequential one ends, where an always-valid
        one is tightest.
    looks : of a group-sequential plan, as rising shares of `units`.
    """

    kind: PlanKind
    units: float
    alpha: float = 0.05
    looks: tuple[float, ...] = ()
    spending: Spending = Spending.OBRIEN_FLEMING

    def __post_init__(self) -> None:
        if not self.units > 0 or not 0 < self.alpha < 1:
            raise InvalidInput(
                f"Expected units above 0 and an alpha between 0 and 1, found {self.units:g} and {self.alpha:g}."
            )
        if self.kind is PlanKind.GROUP_SEQUENTIAL:
            checked_looks(self.looks)
            if abs(self.looks[-1] - 1) > 1e-9:
                raise InvalidInput(f"Expected the last look at 1, found {self.looks[-1]:g}.")

    @property
    def sentence(self) -> str:
        """Return the plan in words."""
        level = f"{100 * (1 - self.alpha):g} %"
        if self.kind is PlanKind.FIXED:
            return f"Read once, at {self.units:,.0f} units ({level} interval)."
        if self.kind is PlanKind.ALWAYS_VALID:
            return (
                f"Valid at every look (asymptotic confidence sequence, {level}, tightest at {self.units:,.0f} units)."
            )
        name = "O'Brien-Fleming" if self.spending is Spending.OBRIEN_FLEMING else "Pocock"
        shares = ", ".join(f"{100 * look:.3g} %" for look in self.looks)
        return f"Read at {shares} of {self.units:,.0f} units (Lan-DeMets spending, {name}, {level})."


@dataclass(frozen=True, slots=True)
class Reading:
    """An effect as a plan lets it be read at `units`. `too_early` : the plan says to wait, nothing is claimed."""

    effect: Effect
    units: int
    too_early: bool
    sentence: str


def read(plan: Plan, fixed: Effect, units: int, alpha: float | None = None) -> Reading:
    """Return what a plan makes of an effect's fixed interval at so many units.

    `alpha` replaces the plan's where several effects share it. A fixed interval must have been made with it.
    """
    plan = replace(plan, alpha=alpha or plan.alpha)
    if plan.kind is PlanKind.ALWAYS_VALID:
        return Reading(AlwaysValid(plan.units, plan.alpha).at(fixed, units), units, False, plan.sentence)
    share = units / plan.units
    if plan.kind is PlanKind.FIXED:
        early = share < _NEARLY
        waits = f" Only {units:,} units are there: the result is not to be read yet." if early else ""
        return Reading(fixed, units, early, plan.sentence + waits)
    return _group_sequential(plan, fixed, units, share)


def level_now(plan: Plan, units: int) -> float | None:
    """Return the alpha with which an interval of one look is as wide as the plan's at so many units; None: too early.

    For figures besides the metrics: money, segments.
    """
    if plan.kind is PlanKind.ALWAYS_VALID:
        return 2 * float(ndtr(-AlwaysValid(plan.units, plan.alpha).multiplier(units)))
    if plan.kind is PlanKind.FIXED:
        return plan.alpha if units / plan.units >= _NEARLY else None
    looks = looks_so_far(plan, units / plan.units)
    return 2 * float(ndtr(-group_sequential_bounds(plan, looks, plan.alpha)[-1])) if looks else None


def looks_so_far(plan: Plan, share: float) -> tuple[float, ...]:
    """Return the planned looks before this share of the units, and this one; empty before the first."""
    now = min(share, 1.0)
    if now < plan.looks[0] - SMALLEST_STEP:
        return ()
    return (*(look for look in plan.looks if look < now - SMALLEST_STEP), now)


def group_sequential_bounds(plan: Plan, looks: tuple[float, ...], alpha: float) -> list[float]:
    """Return the boundaries of Z at these looks."""
    return boundaries(looks, [plan.spending.spent(look, alpha) for look in looks])


def _group_sequential(plan: Plan, fixed: Effect, units: int, share: float) -> Reading:
    """Return the repeated confidence interval and p-value (Jennison and Turnbull 1989) at the look of now."""
    looks = looks_so_far(plan, share)
    if not looks:
        first = math.ceil(plan.looks[0] * plan.units)
        note = f"{plan.sentence} The first look is at {first:,} units, {units:,} are there: not to be read yet."
        return Reading(fixed, units, True, note)
    z = abs(fixed.estimate) / fixed.standard_error

    def bound(alpha: float) -> float:
        return _as_students(group_sequential_bounds(plan, looks, alpha)[-1], fixed.degrees_of_freedom)

    half = bound(plan.alpha) * fixed.standard_error
    effect = replace(
        fixed,
        low=fixed.estimate - half,
        high=fixed.estimate + half,
        log_p_value=_repeated_log_p(bound, z),
        alpha=plan.alpha,
    )
    return Reading(effect, units, False, f"{plan.sentence} This is look {len(looks)}.")


def _repeated_log_p(bound: Callable[[float], float], z: float) -> float:
    """Return the logarithm of the least alpha whose boundary the statistic has crossed."""
    lowest, highest = math.log(1e-12), math.log(0.999)
    if z <= bound(math.exp(highest)):
        return 0.0
    if z >= bound(math.exp(lowest)):
        return lowest
    return float(brentq(lambda log_alpha: bound(math.exp(log_alpha)) - z, lowest, highest, xtol=1e-4))


def _as_students(bound: float, degrees: float) -> float:
    """Return the boundary of Student's t that is as rare as this one of the normal."""
    tail = float(ndtr(-bound))
    return bound if tail < 1e-14 else -quantile(tail, degrees)
