"""The interface of an estimator, and the shape that all of ours have."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Protocol

from experiments.off_policy.estimate import Estimate, half_width, kish, two_sided
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.sums import Sums


class Estimator(Protocol):
    """Values a target policy on a log that another policy wrote."""

    def estimate(self, rounds: Rounds, *, level: float = 0.95) -> Estimate:
        """The target policy's value with a two-sided interval of confidence `level`."""
        ...

    def terms(self, rounds: Rounds) -> FloatArray:
        """float[n] whose mean is the value and whose variance / n is the value's variance."""
        ...

    def sums(self, rounds: Rounds) -> Sums:
        """Statistics of part of a log; add those of all parts and give them to `from_sums`."""
        ...

    def from_sums(self, sums: Sums, *, level: float = 0.95) -> Estimate:
        """What `estimate` would answer for all the rounds behind `sums`."""
        ...


class SmoothOfMeans(ABC):
    """An estimator that is a smooth function of the means of per-round columns.

    Its variance is the delta method's; with a linear function that is the variance of a mean.
    The first column must be the importance weight as it is used.
    """

    @abstractmethod
    def columns(self, rounds: Rounds) -> FloatArray:
        """float[n, p], the per-round quantities; column 0 is the weight."""

    @abstractmethod
    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The value at the columns' means float[p], and its gradient float[p] there."""

    def sums(self, rounds: Rounds) -> Sums:
        """The columns' sums, which add over parts of a log."""
        return Sums.of(self.columns(rounds))

    def terms(self, rounds: Rounds) -> FloatArray:
        """float[n], value plus influence: the mean is the value."""
        columns = self.columns(rounds)
        mean: FloatArray = columns.mean(axis=0)
        value, gradient = self.value(mean)
        influence: FloatArray = value + (columns - mean) @ gradient
        return influence

    def from_sums(self, sums: Sums, *, level: float = 0.95) -> Estimate:
        """The value with the delta method's interval."""
        value, gradient = self.value(sums.mean)
        standard_error = math.sqrt(sums.variance_along(gradient) / sums.n)
        half = half_width(standard_error, sums.n - 1, two_sided(level))
        return Estimate(
            value=value,
            standard_error=standard_error,
            low=value - half,
            high=value + half,
            n=sums.n,
            effective_sample_size=kish(sums.n * float(sums.mean[0]), sums.total_of_squares(0)),
            level=level,
        )

    def estimate(self, rounds: Rounds, *, level: float = 0.95) -> Estimate:
        """The value of `rounds.target` with a two-sided interval."""
        return self.from_sums(self.sums(rounds), level=level)
