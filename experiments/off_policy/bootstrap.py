"""Bootstrap intervals: what would the estimate be in other logs like this one?

`Resamples` draws for each round and replicate how often the round appears, from a Poisson law of mean 1
(Hanley and MacGibbon 2006), by a generator that is addressed by the round's place. So parts of a log can be
resampled apart and added up, and all estimators see the same resamples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.estimate import Estimate
from experiments.off_policy.estimator import Estimator, SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, Rounds

ROUNDS_AT_ONCE = 4_096
DRAWS_A_STEP = 16
"""A step of the generator gives four words of 64 bits: 16 draws of 16 bits."""


def _poisson_table() -> FloatArray:
    """How often a round appears, for each of 65,536 equally likely draws: Poisson(1) to within 1 / 65,536."""
    k = np.arange(12)
    ends = np.cumsum(np.exp(-1.0) / np.array([math.factorial(int(i)) for i in k]))
    return np.searchsorted(ends, (np.arange(65_536) + 0.5) / 65_536).astype(np.float64)


APPEARANCES = _poisson_table()


@dataclass(frozen=True, eq=False)
class Resamples:
    """Sums of p columns over resampled rounds, that add over parts of a log.

    Parameters
    ----------
    appearances : float[B], how many rounds each replicate holds.
    totals : float[B, p], the columns' sums in it.
    """

    appearances: FloatArray
    totals: FloatArray

    @classmethod
    def of(cls, columns: FloatArray, *, seed: int, replicates: int, start: int = 0) -> Resamples:
        """Resample float[n, p] columns of rounds number `start` and following; `replicates` in steps of 16."""
        if replicates < DRAWS_A_STEP or replicates % DRAWS_A_STEP:
            raise InvalidInput(
                f"replicates must be a multiple of {DRAWS_A_STEP}, found {replicates}.", hint="Take 400 or 2,000."
            )
        n = len(columns)
        with_one = np.vstack([np.ones(n), columns.T])
        totals = np.zeros((replicates, len(with_one)))
        for first in range(0, n, ROUNDS_AT_ONCE):
            part = with_one[:, first : first + ROUNDS_AT_ONCE]
            totals += _appearances(start + first, part.shape[1], seed=seed, replicates=replicates).T @ part.T
        return cls(totals[:, 0], totals[:, 1:])

    def __add__(self, other: Resamples) -> Resamples:
        if self.totals.shape != other.totals.shape:
            raise InvalidInput(
                f"Resamples that merge have the same shape, found {self.totals.shape} and {other.totals.shape}."
            )
        return Resamples(self.appearances + other.appearances, self.totals + other.totals)

    def percentiles(self, estimator: SmoothOfMeans, columns: slice, *, level: float) -> tuple[float, float]:
        """The middle `level` of the estimator's values in the replicates, from its columns among the p."""
        means = self.totals[:, columns] / self.appearances[:, None]
        values = [estimator.value(mean)[0] for mean in means]
        return middle(np.array(values), level)


def _appearances(first: int, n: int, *, seed: int, replicates: int) -> FloatArray:
    """float[n, B], how often rounds `first` and following appear in each replicate."""
    generator = np.random.Philox(seed)
    generator.advance(first * replicates // DRAWS_A_STEP)
    words = generator.random_raw(n * replicates // 4)
    return APPEARANCES[words.view(np.uint16)].reshape(n, replicates)


def middle(values: FloatArray, level: float) -> tuple[float, float]:
    """The percentiles that enclose the middle `level` of values."""
    low, high = np.percentile(values, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def bootstrap(
    estimators: Mapping[str, Estimator], rounds: Rounds, *, seed: int, replicates: int = 2_000, level: float = 0.95
) -> dict[str, Estimate]:
    """Each estimator's value with a percentile interval (Efron 1979); ratios are computed anew in each replicate.

    An estimator that chooses among candidates keeps the candidate it chose on the log.
    `standard_error` is the standard deviation over replicates; with one round it is infinite.

    Raises
    ------
    InvalidInput : replicates is not a multiple of 16.
    """
    summed = {name: estimator.sums(rounds) for name, estimator in estimators.items()}
    settled = {name: estimator.settled(rounds) for name, estimator in estimators.items()}
    columns = {name: estimator.columns(rounds) for name, estimator in settled.items()}
    drawn = Resamples.of(np.concatenate(list(columns.values()), axis=1), seed=seed, replicates=replicates)
    found, place = {}, 0
    for name, own in columns.items():
        at = slice(place, place := place + own.shape[1])
        plain = estimators[name].from_sums(summed[name], level=level)
        found[name] = _estimate(plain, drawn, settled[name], at) if len(rounds) > 1 else plain
    return found


def _estimate(plain: Estimate, drawn: Resamples, estimator: SmoothOfMeans, at: slice) -> Estimate:
    low, high = drawn.percentiles(estimator, at, level=plain.level)
    means = drawn.totals[:, at] / drawn.appearances[:, None]
    spread = float(np.std([estimator.value(mean)[0] for mean in means], ddof=1))
    return Estimate(plain.value, spread, low, high, plain.n, plain.effective_sample_size, plain.level)


def resampled_mean(
    values: NDArray[np.float64], *, seed: int, replicates: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """Percentile interval for the mean of float[n] values, drawing n of them with replacement.

    With an estimator's `contributions` it reproduces the intervals of Open Bandit Pipeline draw by draw, which
    hold the denominators of self-normalised estimators fixed; `bootstrap` doesn't and is preferred.
    """
    random = np.random.RandomState(seed)
    n = len(values)
    means = [values[random.choice(n, size=n)].mean() for _ in range(replicates)]
    return middle(np.array(means), level)
