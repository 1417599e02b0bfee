"""Challenger minus champion on one log: paired, because both are valued on the same rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.clusters import Clusters
from experiments.off_policy.estimate import two_sided
from experiments.off_policy.estimator import Estimator
from experiments.off_policy.intervals import Chance
from experiments.off_policy.rounds import FloatArray, Rounds, beside
from experiments.off_policy.sums import Sums


@dataclass(frozen=True, slots=True)
class Contrast:
    """A gain per round in reward units: its two-sided interval, and its one-sided lower bound.

    `lower_bound` lies below the true gain with confidence `level`, `upper_bound` above it; `low` and `high` enclose
    it with confidence `level`. They are made as `intervals.careful` is, so they need not lie evenly around `gain`.
    `clusters` is the number of independent groups (of rounds, without ids).
    """

    gain: float
    standard_error: float
    low: float
    high: float
    lower_bound: float
    upper_bound: float
    level: float
    n: int
    clusters: int


def contrast(
    rounds: Rounds,
    champion: FloatArray,
    *,
    estimator: Estimator,
    level: float = 0.95,
    cluster: NDArray[np.generic] | None = None,
) -> Contrast:
    """Value of `rounds.target` (the challenger) minus that of `champion`, both by `estimator`.

    Parameters
    ----------
    rounds : the log, with the challenger as its target.
    champion : float[n, K], the champion's probabilities on the same rounds.
    cluster : ids of shape [n] of what is independent, as a rule the customer, who appears in several
        decisions; standard errors are then cluster-robust (Liang and Zeger 1986). None: each round.

    Raises
    ------
    InvalidInput : shapes differ, or a level outside (0, 1).
    """
    ours, theirs = (settled_terms(estimator, log) for log in (rounds, rounds.with_target(champion)))
    return GainSums.of(ours, theirs, cluster).contrast(level)


@dataclass(frozen=True, eq=False)
class GainSums:
    """What a `Contrast` is computed from; sums of parts of a log add.

    Parameters
    ----------
    sums : of three columns: the challenger's term less the champion's, the difference of their weights, the error
        that both multiply.
    clusters : the terms' differences by customer; None where each round is independent.
    """

    sums: Sums
    clusters: Clusters | None

    @classmethod
    def of(cls, ours: Settled, theirs: Settled, cluster: NDArray[np.generic] | None) -> GainSums:
        """Summarise two policies' terms on the same rounds; ids of shape [n] or None."""
        term = ours.term - theirs.term
        sums = Sums.of(beside(term, ours.weight - theirs.weight, ours.error))
        return cls(sums, None if cluster is None else Clusters.of(cluster, term))

    def __add__(self, other: GainSums) -> GainSums:
        if self.clusters is None or other.clusters is None:
            if self.clusters is not other.clusters:
                raise InvalidInput("Parts that merge have customers all or none, found some of each.")
            return GainSums(self.sums + other.sums, None)
        return GainSums(self.sums + other.sums, self.clusters + other.clusters)

    def contrast(self, level: float) -> Contrast:
        """The gain over all rounds behind these sums; raises InvalidInput for a level outside (0, 1)."""
        n, gain = self.sums.n, float(self.sums.mean[0, 0])
        groups = n if self.clusters is None else len(self.clusters)
        squares = float(self.sums.scatter[0, 0, 0])
        chance, plain = self._chance(), math.sqrt(squares) / n
        error = _standard_error(squares if self.clusters is None else self.clusters.squares(gain), groups, n)
        error *= max(1.0, chance.error / plain) if plain > 0 else 1.0
        degrees = min(groups - 1, chance.degrees_of_freedom)
        low, high = chance.ends(gain, error, degrees, two_sided(level))
        lower_bound, upper_bound = chance.ends(gain, error, degrees, level)
        return Contrast(gain, error, low, high, lower_bound, upper_bound, level, n, groups)

    def _chance(self) -> Chance:
        """Of a difference: the weights differ, the errors are the same."""
        n = self.sums.n
        weights = self.sums.total_of_squares(1) / n, self.sums.total_of_cubes(1) / n
        return Chance.of(n, weights, (float(self.sums.scatter[0, 2, 2]) / n, float(self.sums.third[0, 2, 2, 2]) / n))


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """float[n] each: an estimator's terms, the weights it uses, and the errors that they multiply."""

    term: FloatArray
    weight: FloatArray
    error: FloatArray


def settled_terms(estimator: Estimator, rounds: Rounds) -> Settled:
    """The estimator's terms on these rounds, with the candidate that it chooses on them."""
    chosen = estimator.settled(rounds)
    columns = chosen.columns(rounds)
    return Settled(chosen.terms_of(columns), columns[:, 0], columns[:, -1])


def _standard_error(squares: float, groups: int, n: int) -> float:
    return math.sqrt(groups / (groups - 1) * squares) / n if groups > 1 else math.inf
