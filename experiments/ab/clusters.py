"""Units that came in clusters: where customers were randomised and orders are counted, or stores and their customers.

A cluster is then the unit: its sum is the numerator, its size the denominator, and the mean over units is their ratio,
with the delta method's variance (Deng, Knoblich and Lu, KDD 2018), which is the cluster-robust one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, counted
from decision.records import FloatArray


@dataclass(frozen=True, eq=False)
class Clustered:
    """One row a cluster: int[m] arm, float[m, p] sums of columns, float[m] size."""

    arm: NDArray[np.integer]
    sums: FloatArray
    size: FloatArray


def by_cluster(cluster: NDArray[np.generic], arm: NDArray[np.integer], columns: Sequence[FloatArray]) -> Clustered:
    """Sum columns float[n] over the ids [n] of clusters.

    Raises
    ------
    InvalidInput : a cluster is in two arms; then it was not what was randomised.
    """
    _, first, place = np.unique(cluster, return_index=True, return_inverse=True)
    arms = arm[first]
    split = np.unique(place[arm != arms[place]])
    if len(split):
        raise InvalidInput(
            f"Expected every cluster in one arm, found {counted(len(split), 'cluster')} in two or more.",
            hint="Name what was randomised as the cluster.",
        )
    size = np.bincount(place, minlength=len(first)).astype(np.float64)
    sums = np.zeros((len(first), len(columns)))
    for k, column in enumerate(columns):
        sums[:, k] = np.bincount(place, weights=column, minlength=len(first))
    return Clustered(arms, sums, size)
