"""Sufficient statistics that add up: value each shard or day apart, then merge."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.rounds import FloatArray

BLOCK = 8_192


@dataclass(frozen=True, eq=False)
class Sums:
    """Count, means, centred second and third moments, and extremes of p columns; m sets of them side by side.

    They add without loss of precision by the updates of Chan, Golub and LeVeque (1983) and Pebay (2008). An
    estimator has one set (m = 1), a choice among m candidates has m.

    Parameters
    ----------
    n : number of rounds.
    mean : float[m, p], the means of the columns.
    scatter : float[m, p, p], sum over rounds of (x - mean)(x - mean)'.
    third : float[m, p, p, p], sum over rounds of the threefold products of x - mean.
    low, high : float[m, p], the columns' least and greatest values.
    """

    n: int
    mean: FloatArray
    scatter: FloatArray
    third: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, columns: FloatArray) -> Sums:
        """Summarise float[n, p] columns, one row a round."""
        n, p = columns.shape
        mean = columns.mean(axis=0)
        scatter, third = np.zeros((p, p)), np.zeros((p, p, p))
        # In blocks that stay in the processor's cache: three times as fast as in one piece.
        for first in range(0, n, BLOCK):
            centred = columns[first : first + BLOCK].T - mean[:, None]
            scatter += centred @ centred.T
            for i, j in combinations_with_replacement(range(p), 2):
                third[i, j] += centred @ (centred[i] * centred[j])
        for i, j in combinations_with_replacement(range(p), 2):
            third[j, i] = third[i, j]
        ends = columns.min(axis=0), columns.max(axis=0)
        return cls(n, mean[None], scatter[None], third[None], ends[0][None], ends[1][None])

    @classmethod
    def beside(cls, sets: list[Sums]) -> Sums:
        """Put sets of the same rounds side by side."""
        names = ("mean", "scatter", "third", "low", "high")
        return cls(sets[0].n, *(np.concatenate([getattr(one, name) for one in sets]) for name in names))

    def one(self, k: int) -> Sums:
        """The set in place `k` alone."""
        at = slice(k, k + 1)
        return Sums(self.n, self.mean[at], self.scatter[at], self.third[at], self.low[at], self.high[at])

    def __add__(self, other: Sums) -> Sums:
        if self.mean.shape != other.mean.shape:
            raise InvalidInput(
                f"Sums that merge have the same columns, found {self.mean.shape} and {other.mean.shape}.",
                hint="Merge only sums that one and the same estimator made.",
            )
        n = self.n + other.n
        mean = self.mean + (other.mean - self.mean) * (other.n / n)
        parts = (self.around(mean), other.around(mean))
        return Sums(
            n=n,
            mean=mean,
            scatter=parts[0][0] + parts[1][0],
            third=parts[0][1] + parts[1][1],
            low=np.minimum(self.low, other.low),
            high=np.maximum(self.high, other.high),
        )

    def around(self, centre: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Second and third moments around another centre float[m, p] than the mean."""
        d = self.mean - centre
        second = self.scatter + self.n * np.einsum("mi,mj->mij", d, d)
        mixed = np.einsum("mij,mk->mijk", self.scatter, d)
        turned = mixed + mixed.transpose(0, 1, 3, 2) + mixed.transpose(0, 3, 1, 2)
        third = self.third + turned + self.n * np.einsum("mi,mj,mk->mijk", d, d, d)
        return second, third

    def variance_along(self, direction: FloatArray) -> float:
        """Sample variance of the first set's combination float[p] `direction`; infinite for one round."""
        if self.n < 2:
            return float("inf")
        return max(float(direction @ self.scatter[0] @ direction) / (self.n - 1), 0.0)

    def skewness_along(self, direction: FloatArray) -> float:
        """Sample skewness of the first set's combination float[p] `direction`; 0 where nothing varies."""
        spread = float(direction @ self.scatter[0] @ direction) / self.n
        if not spread > 0:
            return 0.0
        third = float(np.einsum("ijk,i,j,k->", self.third[0], direction, direction, direction)) / self.n
        return float(third / spread**1.5)

    def range_along(self, direction: FloatArray) -> float:
        """A range that holds the first set's combination float[p] `direction`; exact when one column has weight."""
        return float(np.abs(direction) @ (self.high[0] - self.low[0]))

    def total_of_cubes(self, column: int) -> float:
        """Sum of cubes of one column of the first set, not centred."""
        mean, centred = float(self.mean[0, column]), float(self.third[0, column, column, column])
        return centred + 3 * mean * float(self.scatter[0, column, column]) + self.n * mean**3

    def total_of_squares(self, column: int) -> float:
        """Sum of squares of one column of the first set, not centred."""
        return float(self.scatter[0, column, column] + self.n * self.mean[0, column] ** 2)
