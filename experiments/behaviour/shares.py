"""Intervals of shares, which never leave 0 to 1 (Wilson 1927)."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from decision.records import FloatArray

Z = 1.959964
Share = TypeVar("Share", float, FloatArray)


def wilson(share: Share, n: Share) -> tuple[Share, Share]:
    """Return the 95 % interval of a share that n trials showed."""
    centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n)
    half = Z / (1.0 + Z * Z / n) * np.sqrt(share * (1.0 - share) / n + Z * Z / (4.0 * n * n))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def wilson_of_mean(values: FloatArray) -> tuple[float, float]:
    """Return the 95 % interval of the mean of values [N] from 0 to 1, such as shares of returned money.

    It is Wilson's with as many trials as would give a share the variance that was seen (effective sample size, as
    surveys do: Kott and Carr 1997). Values that are all the same say nothing of their variance: each is a trial then.
    """
    n, mean = float(len(values)), float(values.mean())
    variance = float(values.var(ddof=1)) if len(values) > 1 else 0.0
    trials = mean * (1.0 - mean) * n / variance if variance > 0.0 else n
    low, high = wilson(mean, trials)
    return float(low), float(high)
