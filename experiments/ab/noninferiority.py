"""Guardrail metrics: is a metric that must not degrade no worse than a margin that was named before?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from decision.errors import InvalidInput
from experiments.ab.effect import Effect


class Better(StrEnum):
    """Which direction of a metric is good."""

    HIGHER = "higher"
    LOWER = "lower"


class Safety(StrEnum):
    """Shown to be safe, shown to do harm, or neither."""

    SAFE = "safe"
    HARMED = "harmed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class GuardrailReading:
    """What an interval says of a guardrail metric. `worst` is the worst change that the interval still holds."""

    safety: Safety
    worst: float
    margin: float


def guarded(effect: Effect, *, margin: float, better: Better) -> GuardrailReading:
    """Return whether an effect (absolute, or relative where the margin is a share) stays within the margin.

    `margin` > 0 is how much worse is tolerated, in the unit of the effect. Safe: the whole interval is better than
    that. Harmed: the whole interval is worse than it. The interval's other end is not used up, so that a two-sided one
    of 95 % tests at 2.5 %. Raises InvalidInput for a margin of 0 or less.
    """
    if not margin > 0:
        raise InvalidInput(
            f"Expected a margin above 0, found {margin:g}.", hint="Without a margin no finite trial can show safety."
        )
    low, high = (effect.low, effect.high) if better is Better.HIGHER else (-effect.high, -effect.low)
    safety = Safety.SAFE if low > -margin else Safety.HARMED if high < -margin else Safety.OPEN
    return GuardrailReading(safety, -low if better is Better.LOWER else low, margin)
