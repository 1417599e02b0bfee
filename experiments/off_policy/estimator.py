"""The interface of an estimator, and the shape that all of ours have."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.estimate import Estimate, kish
from experiments.off_policy.intervals import INTERVALS, standard_error
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.sums import Sums


class Estimator(Protocol):
    """Values a target policy on a log that another policy wrote."""

    def estimate(self, rounds: Rounds, *, level: float = 0.95, interval: str = "careful") -> Estimate:
        """The target policy's value with a two-sided interval of confidence `level`, see `intervals.INTERVALS`."""
        ...

    def terms(self, rounds: Rounds) -> FloatArray:
        """float[n] whose mean is the value and whose variance / n is the value's variance."""
        ...

    def sums(self, rounds: Rounds) -> Sums:
        """Statistics of part of a log; add those of all parts and give them to `from_sums`."""
        ...

    def from_sums(self, sums: Sums, *, level: float = 0.95, interval: str = "careful") -> Estimate:
        """What `estimate` would answer for all the rounds behind `sums`."""
        ...

    def settled(self, rounds: Rounds) -> SmoothOfMeans:
        """The estimator itself, or the candidate that it chooses on these rounds."""
        ...


class SmoothOfMeans(ABC):
    """An estimator that is a smooth function of the means of per-round columns.

    Its variance is the delta method's; with a linear function that is the variance of a mean.
    The first column must be the importance weight as it is used, the last the error that it multiplies (the
    reward, or what a reward model leaves of it), which the value doesn't read: see `intervals.careful`.
    """

    @abstractmethod
    def columns(self, rounds: Rounds) -> FloatArray:
        """float[n, p], the per-round quantities; the first is the weight, the last the error."""

    @abstractmethod
    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The value at the columns' means float[p], and its gradient float[p] there."""

    def contributions(self, rounds: Rounds) -> FloatArray:
        """float[n] whose mean is the value, with what the estimator divides by held fixed."""
        column: FloatArray = self.columns(rounds)[:, 1]
        return column

    def settled(self, rounds: Rounds) -> SmoothOfMeans:
        """The estimator itself: it has nothing to choose."""
        return self

    def sums(self, rounds: Rounds) -> Sums:
        """The columns' sums, which add over parts of a log."""
        return Sums.of(self.columns(rounds))

    def terms(self, rounds: Rounds) -> FloatArray:
        """float[n], value plus influence: the mean is the value."""
        return self.terms_of(self.columns(rounds))

    def terms_of(self, columns: FloatArray) -> FloatArray:
        """The same from float[n, p] columns that are known already."""
        mean: FloatArray = columns.mean(axis=0)
        value, gradient = self.value(mean)
        influence: FloatArray = value + (columns - mean) @ gradient
        return influence

    def from_sums(self, sums: Sums, *, level: float = 0.95, interval: str = "careful") -> Estimate:
        """The value with an interval; raises InvalidInput for an interval that `INTERVALS` doesn't hold."""
        if interval not in INTERVALS:
            raise InvalidInput(
                f"interval must be one of {', '.join(INTERVALS)}, found {interval!r}.",
                hint="The bootstrap reads the rounds again: call off_policy.bootstrap.",
            )
        value, gradient = self.value(sums.mean[0])
        low, high = INTERVALS[interval](value, gradient, sums, level)
        return Estimate(
            value=value,
            standard_error=standard_error(gradient, sums),
            low=low,
            high=high,
            n=sums.n,
            effective_sample_size=kish(sums.n * float(sums.mean[0, 0]), sums.total_of_squares(0)),
            level=level,
        )

    def estimate(self, rounds: Rounds, *, level: float = 0.95, interval: str = "careful") -> Estimate:
        """The value of `rounds.target` with a two-sided interval."""
        return self.from_sums(self.sums(rounds), level=level, interval=interval)


class MeanOfOne(SmoothOfMeans):
    """An estimator that is the mean of its second column."""

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The mean of column 1."""
        return float(mean[1]), np.array([0.0, 1.0, 0.0])
