"""Challenger minus champion on one log: paired, because both are valued on the same rounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.estimate import half_width, two_sided
from experiments.off_policy.estimator import Estimator
from experiments.off_policy.rounds import FloatArray, Rounds


@dataclass(frozen=True, slots=True)
class Contrast:
    """A gain per round in reward units: its two-sided interval, and its one-sided lower bound.

    Rare rewards under large weights are skewed to the right: then the lower ends are careful and `high`
    tends to be too low.

    `lower_bound` lies below the true gain with confidence `level`; `low` and `high` enclose it with
    confidence `level`. `clusters` is the number of independent groups (of rounds, without ids).
    """

    gain: float
    standard_error: float
    low: float
    high: float
    lower_bound: float
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
    term = estimator.terms(rounds) - estimator.terms(rounds.with_target(champion))
    gain = float(term.mean())
    deviation = _by_cluster(term - gain, cluster)
    groups = len(deviation)
    error = _standard_error(deviation, len(term))
    half = half_width(error, groups - 1, two_sided(level))
    return Contrast(
        gain=gain,
        standard_error=error,
        low=gain - half,
        high=gain + half,
        lower_bound=gain - half_width(error, groups - 1, level),
        level=level,
        n=len(term),
        clusters=groups,
    )


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
