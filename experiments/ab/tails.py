"""Tails of the normal and of Student's distribution, also where a double underflows."""

from __future__ import annotations

import math
from enum import StrEnum

from scipy.special import betaln, log_ndtr, ndtri, stdtr, stdtrit

# Beyond so many degrees of freedom Student's quantiles differ from the normal's by less than a double resolves here.
_NORMAL_FROM = 1e15
_TINY = 1e-300


class Alternative(StrEnum):
    """What is claimed of treatment minus control."""

    TWO_SIDED = "two_sided"
    GREATER = "greater"
    LESS = "less"


def quantile(probability: float, degrees_of_freedom: float = math.inf) -> float:
    """Return Student's quantile; the normal's without degrees of freedom."""
    if degrees_of_freedom > _NORMAL_FROM:
        return float(ndtri(probability))
    return float(stdtrit(degrees_of_freedom, probability))


def log_upper_tail(t: float, degrees_of_freedom: float = math.inf) -> float:
    """Return the natural logarithm of P(T > t), right for tails that are no double any more."""
    if degrees_of_freedom > _NORMAL_FROM:
        return float(log_ndtr(-t))
    plain = float(stdtr(degrees_of_freedom, -t))
    return math.log(plain) if plain > 1e-290 else _log_far_tail(t, degrees_of_freedom)


def log_p_value(t: float, degrees_of_freedom: float, alternative: Alternative) -> float:
    """Return the natural logarithm of a p-value."""
    if alternative is Alternative.TWO_SIDED:
        return min(0.0, math.log(2) + log_upper_tail(abs(t), degrees_of_freedom))
    return log_upper_tail(t if alternative is Alternative.GREATER else -t, degrees_of_freedom)


def p_value_in_words(log_p: float) -> str:
    """Return `0.0123`, `4.2e-09`, or, for what is no double, its power of ten."""
    p = math.exp(log_p)
    if p >= 1e-3:
        return f"{p:.4f}"
    if p > _TINY:
        return f"{p:.1e}"
    power = log_p / math.log(10)
    return f"10^{power:.1f}"


def _log_far_tail(t: float, nu: float) -> float:
    """Half the incomplete beta function by its continued fraction (DLMF 8.17.22, after Lentz), in logarithms."""
    a, b, x = nu / 2, 0.5, nu / (nu + t * t)
    tiny = 1e-30
    c, d = 1.0, 1.0 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 100_000):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 + step * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + step / c
            c = c if abs(c) > tiny else tiny
            fraction *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    log_x = -math.log1p(t * t / nu)
    log_rest = math.log(t * t / nu) + log_x
    return float(a * log_x + b * log_rest - math.log(a) - betaln(a, b) + math.log(fraction) - math.log(2))
