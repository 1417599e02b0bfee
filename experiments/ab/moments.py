"""Sufficient statistics of an arm that add up: count, means and scatter of a few columns.

Any engine can make them, a shard or a day at a time; what is estimated later needs nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, counted
from decision.records import FloatArray

# A few columns of so many rows stay in the processor's cache.
BLOCK = 16_384
# Fewer rows than this are not worth a second thread.
ROWS_PER_THREAD = 500_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, means and centred second moments of p columns over units; `a + b` merges parts of an arm.

    They add without loss of precision by the updates of Chan, Golub and LeVeque (1983).

    Parameters
    ----------
    n : number of units.
    mean : float[p].
    scatter : float[p, p], sum over units of (x - mean)(x - mean)'.
    """

    n: int
    mean: FloatArray
    scatter: FloatArray

    @classmethod
    def empty(cls, p: int) -> Moments:
        """Return the moments of no units."""
        return cls(0, np.zeros(p), np.zeros((p, p)))

    @classmethod
    def of(cls, *columns: FloatArray) -> Moments:
        """Summarise columns float[n]. Raises InvalidInput for values that are missing or infinite."""
        arm = np.zeros(len(columns[0]), dtype=np.int8)
        return by_arm(columns, arm, 1)[0]

    @classmethod
    def of_sums(cls, n: int, sums: FloatArray, products: FloatArray) -> Moments:
        """From plain sums float[p] and sums of products float[p, p], as a database gives them."""
        mean = np.asarray(sums, dtype=np.float64) / max(n, 1)
        with np.errstate(invalid="ignore", over="ignore"):
            scatter = np.asarray(products, dtype=np.float64) - n * np.outer(mean, mean)
        return cls(n, mean, scatter)

    @classmethod
    def of_successes(cls, n: int, successes: int) -> Moments:
        """Of a yes-or-no column, from counts. Raises InvalidInput for more successes than units."""
        if not 0 <= successes <= n:
            raise InvalidInput(f"Expected from 0 to {n:,} successes, found {successes:,}.")
        return cls.of_sums(n, np.array([successes]), np.array([[successes]]))

    def __add__(self, other: Moments) -> Moments:
        if self.mean.shape != other.mean.shape:
            raise InvalidInput(
                f"Moments that merge have the same columns, found {len(self.mean)} and {len(other.mean)}."
            )
        n = self.n + other.n
        if n == 0:
            return self
        gap = other.mean - self.mean
        scatter = self.scatter + other.scatter + np.outer(gap, gap) * (self.n * other.n / n)
        return Moments(n, self.mean + gap * (other.n / n), scatter)

    def take(self, *columns: int) -> Moments:
        """Return the moments of some of the columns, in this order."""
        at = list(columns)
        return Moments(self.n, self.mean[at], self.scatter[np.ix_(at, at)])

    def covariance(self) -> FloatArray:
        """Return the sample covariance float[p, p]. Raises InvalidInput for fewer than two units."""
        if self.n < 2:
            raise InvalidInput(f"A variance needs at least two units, found {self.n}.")
        covariance: FloatArray = self.scatter / (self.n - 1)
        return covariance


def by_arm(columns: Sequence[FloatArray], arm: NDArray[np.integer], arms: int) -> list[Moments]:
    """Return the moments of each arm, in one pass over the data and on all cores.

    Parameters
    ----------
    columns : p arrays float[n].
    arm : int[n], from 0 to `arms` - 1.

    Raises
    ------
    InvalidInput : lengths differ, or values are missing or infinite: leaving them out would change who is compared.
    """
    n = len(arm)
    if any(len(column) != n for column in columns):
        raise InvalidInput(f"Expected columns of {n:,} units, found {', '.join(f'{len(c):,}' for c in columns)}.")
    threads = max(1, min(os.cpu_count() or 1, n // ROWS_PER_THREAD))
    edges = [n * k // threads for k in range(threads + 1)]
    shift = [_typical(column) for column in columns]

    def part(k: int) -> list[Moments]:
        # What is missing or overflows is found at the end.
        with np.errstate(invalid="ignore", over="ignore"):
            return _part([c[edges[k] : edges[k + 1]] for c in columns], arm[edges[k] : edges[k + 1]], arms, shift)

    if threads == 1:
        found = part(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = [reduce(lambda a, b: a + b, one) for one in zip(*pool.map(part, range(threads)), strict=True)]
    if not all(np.isfinite(one.scatter).all() for one in found):
        bad = sum(int((~np.isfinite(column)).sum()) for column in columns)
        if not bad:
            raise InvalidInput("Expected numbers whose squares can be summed, found some too large for that.")
        raise InvalidInput(
            f"Expected a finite number for every unit, found {counted(bad, 'value')} missing or infinite.",
            hint="A unit that did nothing has 0; one that was not measured yet belongs in no arm so far.",
        )
    return found


def _typical(column: FloatArray) -> float:
    """Return a value in the middle of some of the column's, 0 where there is none: an outlier must not be it."""
    some = np.asarray(column[:: max(1, len(column) // 1000)], dtype=np.float64)
    some = some[np.isfinite(some)]
    return float(np.median(some)) if len(some) else 0.0


def _part(columns: Sequence[FloatArray], arm: NDArray[np.integer], arms: int, shift: Sequence[float]) -> list[Moments]:
    """Sum each block around a value of the data, so that a large common level costs no digits."""
    p, n = len(columns), len(arm)
    count, sums, products = np.zeros(arms), np.zeros((arms, p)), np.zeros((arms, p, p))
    rows = np.empty((p + 1, min(BLOCK, n)))
    weighted = np.empty_like(rows)
    for first in range(0, n, BLOCK):
        codes = arm[first : first + BLOCK]
        block, mine = rows[:, : len(codes)], weighted[:, : len(codes)]
        block[p] = 1.0
        for j, column in enumerate(columns):
            np.subtract(column[first : first + BLOCK], shift[j], out=block[j])
        for k in range(arms):
            np.multiply(block, codes == k, out=mine)
            total = mine @ block.T
            count[k] += total[p, p]
            sums[k] += total[p, :p]
            products[k] += total[:p, :p]
    found = [Moments.of_sums(round(count[k]), sums[k], products[k]) for k in range(arms)]
    return [Moments(one.n, one.mean + shift if one.n else one.mean, one.scatter) for one in found]
