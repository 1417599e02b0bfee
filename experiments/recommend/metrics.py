"""Recall and NDCG at 10 for each customer, and intervals by the bootstrap over customers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.records import BoolArray, FloatArray

AT = 10
RESAMPLES = 2_000


def hits(scores: FloatArray, wanted: BoolArray) -> BoolArray:
    """Return whether each of the ten best is wanted, [U, 10]; equal scores in the order of products."""
    k = min(AT, scores.shape[1])
    # A stable sort of all would take most of the time: only those that can be among the best are sorted.
    edge = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    best = np.zeros((len(scores), k), dtype=np.int64)
    for row, values in enumerate(scores):
        candidates = np.flatnonzero(values >= edge[row, 0])
        best[row] = candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    return np.take_along_axis(wanted, best, axis=1)


def recall(found: BoolArray, wanted: BoolArray) -> FloatArray:
    """Return the share of wanted products among the ten best, [U]."""
    return np.asarray(found.sum(axis=1) / wanted.sum(axis=1))


def ndcg(found: BoolArray, wanted: BoolArray) -> FloatArray:
    """Return the discounted gain as a share of the best possible, [U] (Järvelin and Kekäläinen 2002)."""
    discount = 1.0 / np.log2(np.arange(found.shape[1]) + 2.0)
    possible = np.minimum(wanted.sum(axis=1), found.shape[1])
    return np.asarray((found * discount).sum(axis=1) / np.cumsum(discount)[possible - 1])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over customers with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"

    @property
    def signed(self) -> str:
        """Return it as a difference."""
        return f"{self.value:+.4f} [{self.low:+.4f}, {self.high:+.4f}]"


def estimates(by_name: Mapping[str, FloatArray], *, seed: int) -> dict[str, Estimate]:
    """Return the mean of each row of figures [U] with its interval; all see the same resamples, so pairs do too."""
    names = list(by_name)
    values = np.stack([by_name[name] for name in names], axis=1)
    rng = np.random.default_rng(seed)
    n = len(values)
    means = np.stack([values[rng.integers(n, size=n)].mean(axis=0) for _ in range(RESAMPLES)])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    middle = values.mean(axis=0)
    return {name: Estimate(*(float(v) for v in (middle[i], low[i], high[i]))) for i, name in enumerate(names)}
