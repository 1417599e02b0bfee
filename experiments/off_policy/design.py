"""The reward model's regressors, sparse because all but one action's columns are 0 in a row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from experiments.off_policy.rounds import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Scaler:
    """Standardises features by the mean and standard deviation, float[d] each, of the rows it was made of."""

    mean: FloatArray
    deviation: FloatArray

    @classmethod
    def of(cls, features: FloatArray) -> Scaler:
        """Measure float[n, d] features; a constant one is only centred."""
        deviation = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(deviation > 0, deviation, 1.0))

    def __call__(self, features: FloatArray) -> FloatArray:
        """Standardised features, float[m, d]."""
        scaled: FloatArray = (features - self.mean) / self.deviation
        return scaled


def interacted(features: FloatArray, action: IntArray, n_actions: int) -> sparse.csr_matrix:
    """Columns: the d features, K action indicators, then d features within each of the K actions."""
    n, d = features.shape
    shared = np.broadcast_to(np.arange(d), (n, d))
    alone = d + action[:, None]
    crossed = d + n_actions + action[:, None] * d + np.arange(d)
    column = np.concatenate([shared, alone, crossed], axis=1)
    value = np.concatenate([features, np.ones((n, 1)), features], axis=1)
    start = np.arange(n + 1) * (2 * d + 1)
    shape = (n, d + n_actions + n_actions * d)
    return sparse.csr_matrix((value.ravel(), column.ravel(), start), shape=shape)
