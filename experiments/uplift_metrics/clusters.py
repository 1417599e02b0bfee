"""A customer decides several times and is one piece of evidence: intervals that know it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.estimate import Estimate, half_width, kish, two_sided
from experiments.off_policy.rounds import FloatArray, IntArray

Customers = NDArray[np.generic]


def members(customer: Customers | None, n: int) -> IntArray:
    """int[n], a number from 0 for the customer of each of n decisions; without ids each decision is a customer.

    Raises
    ------
    InvalidInput : not one id a decision.
    """
    if customer is None:
        return np.arange(n)
    if np.shape(customer) != (n,):
        raise InvalidInput(
            f"customer must have shape [{n}], found {list(np.shape(customer))}.",
            hint="Give the customer of every decision.",
        )
    return np.asarray(np.unique(customer, return_inverse=True)[1], dtype=np.int64)


def standard_error(influence: FloatArray, member: IntArray) -> tuple[float, int]:
    """Cluster-robust standard error (Liang and Zeger 1986) of a mean of float[n] `influence`, and its clusters.

    Infinite with one cluster.
    """
    by_customer = np.bincount(member, weights=influence - influence.mean())
    groups = len(by_customer)
    if groups < 2:
        return math.inf, groups
    return math.sqrt(groups / (groups - 1) * float(by_customer @ by_customer)) / len(influence), groups


def clustered_mean(terms: FloatArray, customer: Customers | None, *, level: float = 0.95) -> Estimate:
    """The mean of float[n] `terms` with Student's interval from the cluster-robust standard error.

    The terms are values plus influence (doubly robust ones, say), so that their mean is the estimate.
    `effective_sample_size` is Kish's of the customers' shares of the decisions.
    """
    member = members(customer, len(terms))
    error, groups = standard_error(terms, member)
    value, half = float(terms.mean()), half_width(error, groups - 1, two_sided(level))
    sizes = np.bincount(member).astype(np.float64)
    effective = kish(float(sizes.sum()), float(sizes @ sizes))
    return Estimate(value, error, value - half, value + half, len(terms), effective, level)


def resamples(member: IntArray, *, seed: int, replicates: int) -> Iterator[FloatArray]:
    """Yield float[n], how often each decision is in a resample: customers are drawn with all that is theirs.

    The bootstrap of Efron (1979) on clusters.
    """
    rng = np.random.default_rng(seed)
    groups = int(member.max()) + 1
    for _ in range(replicates):
        drawn = np.bincount(rng.integers(groups, size=groups), minlength=groups)
        yield drawn[member].astype(np.float64)
