"""For whom does it work? Effects by segment, shrunk towards the common one by what they really differ (empirical
Bayes).

The best of many noisy segments looks better than it is. A segment keeps of its own estimate what the spread of the true
effects supports. That spread is known badly from few segments: so estimates and intervals are averages over what it may
be (Rubin 1981; flat on the spread, as Gelman 2006 advises). A plug-in would be too sure, and cover 90 % instead of 95
%.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from decision.errors import NotEnoughData
from decision.records import FloatArray
from experiments.ab.effect import Effect
from experiments.ab.tails import quantile

_GRID = 400


@dataclass(frozen=True, slots=True)
class Shrunk:
    """A segment's effect as estimated, and shrunk with its interval. `kept` is the share kept of its own estimate."""

    segment: str
    own: Effect
    estimate: float
    standard_error: float
    low: float
    high: float
    kept: float


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """Effects by segment of one dimension.

    `p_value` is Cochran's test that all are the same; `spread` the standard deviation of the true effects, as far
    as is known.
    """

    dimension: str
    common: float
    spread: float
    p_value: float
    segments: tuple[Shrunk, ...]


def shrunk(dimension: str, effects: Mapping[str, Effect], alpha: float = 0.05) -> Heterogeneity:
    """Return the effects of at least two segments, shrunk. Raises `NotEnoughData` for fewer."""
    if len(effects) < 2:
        raise NotEnoughData(
            f"A comparison by {dimension} needs two segments that can be estimated, found {len(effects)}."
        )
    own = np.array([effect.estimate for effect in effects.values()])
    variance = np.array([effect.standard_error**2 for effect in effects.values()])
    likely = _Likely.of(own, variance)
    z = quantile(1 - alpha / 2)
    found = tuple(
        Shrunk(name, effect, mean, error, mean - z * error, mean + z * error, kept)
        for (name, effect), mean, error, kept in zip(
            effects.items(), likely.mean.tolist(), likely.deviation.tolist(), likely.kept.tolist(), strict=True
        )
    )
    p_value = float(chdtrc(len(own) - 1, _cochran(own, variance)))
    return Heterogeneity(dimension, likely.common, likely.spread, p_value, found)


@dataclass(frozen=True, eq=False)
class _Likely:
    """What is believed of the true effects, averaged over their possible spreads; float[k] by segment."""

    common: float
    spread: float
    mean: FloatArray
    deviation: FloatArray
    kept: FloatArray

    @classmethod
    def of(cls, own: FloatArray, variance: FloatArray) -> _Likely:
        """Integrate over spreads from 0 to far beyond what the estimates show, all alike before seeing them."""
        widest = 4 * float(np.ptp(own)) + 4 * math.sqrt(float(variance.max()))
        between = ((widest * ((np.arange(_GRID) + 0.5) / _GRID) ** 2) ** 2)[:, None]
        total = variance + between
        precision = (1 / total).sum(axis=1)
        common = (own / total).sum(axis=1) / precision
        log_chance = -0.5 * (np.log(total) + (own - common[:, None]) ** 2 / total).sum(axis=1) - 0.5 * np.log(precision)
        # The grid is finer near 0, so that each point stands for its width.
        chance = np.exp(log_chance - log_chance.max()) * np.sqrt(np.sqrt(between[:, 0]))
        chance /= chance.sum()
        kept = between / total
        means = kept * own + (1 - kept) * common[:, None]
        # What is shrunk to is estimated too.
        inner = kept * variance + (1 - kept) ** 2 / precision[:, None]
        mean = chance @ means
        deviation = np.sqrt(chance @ (inner + (means - mean) ** 2))
        return cls(float(chance @ common), float(chance @ np.sqrt(between[:, 0])), mean, deviation, chance @ kept)


def _cochran(own: FloatArray, variance: FloatArray) -> float:
    weights = 1 / variance
    return float(weights @ (own - weights @ own / weights.sum()) ** 2)
