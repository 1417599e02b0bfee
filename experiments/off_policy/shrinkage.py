"""Rules that make large importance weights smaller: a little bias for much less variance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.rounds import FloatArray

Shrink = Callable[[FloatArray], FloatArray]


def unchanged(weight: FloatArray) -> FloatArray:
    """No shrinkage."""
    return weight


def clip(largest: float) -> Shrink:
    """min(w, largest): truncation (Ionides 2008)."""
    _not_negative(largest)
    return lambda weight: np.minimum(weight, largest)


def switch(largest: float) -> Shrink:
    """w where w <= largest, else 0, so that dr falls back on its model there (Wang et al. 2017)."""
    _not_negative(largest)
    return lambda weight: np.where(weight <= largest, weight, 0.0)


def optimistic(strength: float) -> Shrink:
    """strength * w / (w^2 + strength) (Su et al. 2020); 0 gives dm, infinity leaves w as it is."""
    _not_negative(strength)
    if strength == 0:
        return np.zeros_like
    if np.isinf(strength):
        return unchanged
    return lambda weight: strength * weight / (weight**2 + strength)


def subgaussian(strength: float) -> Shrink:
    """w / (1 - strength + strength * w), with strength in [0, 1] (Metelli et al. 2021)."""
    _not_negative(strength)
    if strength > 1:
        raise InvalidInput(
            f"subgaussian needs a strength in [0, 1], found {strength:g}.",
            hint="0 leaves the weights as they are.",
        )
    if strength == 1:
        return lambda weight: (weight > 0).astype(np.float64)
    return lambda weight: weight / (1 - strength + strength * weight)


def _not_negative(number: float) -> None:
    if not number >= 0:
        raise InvalidInput(
            f"A shrinkage's number must be at least 0, found {number:g}.",
            hint="Infinity, or for subgaussian 0, leaves the weights as they are.",
        )
