"""Challenger minus champion on one log: paired, because both are valued on the same rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.estimate import two_sided
from experiments.off_policy.estimator import Estimator
from experiments.off_policy.intervals import Chance
from experiments.off_policy.rounds import FloatArray, Rounds


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
    ours, theirs = (_settled(estimator, log) for log in (rounds, rounds.with_target(champion)))
    term = ours.term - theirs.term
    gain = float(term.mean())
    deviation = _by_cluster(term - gain, cluster)
    groups = len(deviation)
    chance, plain = _chance(ours, theirs), math.sqrt(float(((term - gain) ** 2).mean()) / len(term))
    error = _standard_error(deviation, len(term)) * (max(1.0, chance.error / plain) if plain > 0 else 1.0)
    degrees = min(groups - 1, chance.degrees_of_freedom)
    low, high = chance.ends(gain, error, degrees, two_sided(level))
    return Contrast(
        gain=gain,
        standard_error=error,
        low=low,
        high=high,
        lower_bound=chance.ends(gain, error, degrees, level)[0],
        upper_bound=chance.ends(gain, error, degrees, level)[1],
        level=level,
        n=len(term),
        clusters=groups,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Settled:
    """float[n] each: an estimator's terms, the weights it uses, and the errors that they multiply."""

    term: FloatArray
    weight: FloatArray
    error: FloatArray


def _settled(estimator: Estimator, rounds: Rounds) -> _Settled:
    chosen = estimator.settled(rounds)
    columns = chosen.columns(rounds)
    return _Settled(chosen.terms_of(columns), columns[:, 0], columns[:, -1])


def _chance(ours: _Settled, theirs: _Settled) -> Chance:
    """Of a difference: the weights differ, the errors are the same."""
    difference, error = ours.weight - theirs.weight, ours.error - ours.error.mean()
    weights = float((difference**2).mean()), float((difference**3).mean())
    return Chance.of(len(error), weights, (float((error**2).mean()), float((error**3).mean())))


def _by_cluster(deviation: FloatArray, cluster: NDArray[np.generic] | None) -> FloatArray:
    if cluster is None:
        return deviation
    if np.shape(cluster) != deviation.shape:
        raise InvalidInput(
            f"cluster must have shape [{len(deviation)}], found {list(np.shape(cluster))}.",
            hint="Give the customer of every round.",
        )
    _, member = np.unique(cluster, return_inverse=True)
    return np.asarray(np.bincount(member, weights=deviation), dtype=np.float64)


def _standard_error(deviation: FloatArray, n: int) -> float:
    groups = len(deviation)
    if groups < 2:
        return math.inf
    return math.sqrt(groups / (groups - 1) * float(deviation @ deviation)) / n
