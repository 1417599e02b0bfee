"""Sufficient statistics that add up: value each shard or day apart, then merge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.rounds import FloatArray


@dataclass(frozen=True, eq=False)
class Sums:
    """Count, means and centred cross products of p columns.

    They add without loss of precision by the update of Chan, Golub and LeVeque (1983).

    Parameters
    ----------
    n : number of rounds.
    mean : float[p], the means of the columns.
    scatter : float[p, p], sum over rounds of (x - mean)(x - mean)'.
    """

    n: int
    mean: FloatArray
    scatter: FloatArray

    @classmethod
    def of(cls, columns: FloatArray) -> Sums:
        """Summarise float[n, p] columns, one row a round."""
        mean = columns.mean(axis=0)
        centred = columns - mean
        return cls(len(columns), mean, centred.T @ centred)

    def __add__(self, other: Sums) -> Sums:
        if self.mean.shape != other.mean.shape:
            raise InvalidInput(
                f"Sums that merge have the same columns, found {len(self.mean)} and {len(other.mean)}.",
                hint="Merge only sums that one and the same estimator made.",
            )
        n = self.n + other.n
        step = other.mean - self.mean
        mean = self.mean + step * (other.n / n)
        between = np.outer(step, step) * (self.n * other.n / n)
        return Sums(n, mean, self.scatter + other.scatter + between)

    def variance_along(self, direction: FloatArray) -> float:
        """Sample variance of the columns' combination float[p] `direction`; infinite for one round."""
        if self.n < 2:
            return float("inf")
        return max(float(direction @ self.scatter @ direction) / (self.n - 1), 0.0)

    def total_of_squares(self, column: int) -> float:
        """Sum of squares of one column, not centred."""
        return float(self.scatter[column, column] + self.n * self.mean[column] ** 2)
