"""Disjoint linear bandits on the payoff: a ridge regression an action, as in most libraries.

Li, Chu, Langford and Schapire (2010); Agrawal and Goyal (2013).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.protocol import FloatArray, IntArray, Setting

RIDGE = 10.0
WIDTH = 0.2


class Disjoint:
    """Ridge regressions [K] of the payoff on (1, x); beliefs are rebuilt when outcomes arrive."""

    def __init__(self, setting: Setting, *, thompson: bool) -> None:
        """Begin with what a past trial tells, where there was one."""
        size = setting.width + 1
        self.thompson = thompson
        self.precision = np.tile(RIDGE * np.eye(size), (setting.actions, 1, 1))
        self.sums = np.zeros((setting.actions, size))
        self.squares, self.n = 1.0, 1
        self._rng = np.random.default_rng(setting.seed)
        if (past := setting.history) is not None:
            self.update(past.x, past.action, past.bought, past.payoff)
        self._refresh()

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, None]:
        """Return the actions of the highest draws (Thompson) or upper bounds (UCB)."""
        x = _with_one(x)
        width = WIDTH * np.sqrt(self.squares / self.n * np.einsum("ni,kij,nj->nk", x, self._covariance, x))
        noise = self._rng.standard_normal(width.shape) if self.thompson else 1.0
        return (x @ self._mean.T + width * noise).argmax(axis=1), None

    def update(self, x: FloatArray, action: IntArray, bought: Any, payoff: FloatArray, *more: object) -> None:
        """Learn from payoffs."""
        x = _with_one(x)
        for k in np.unique(action):
            rows = x[action == k]
            self.precision[k] += rows.T @ rows
            self.sums[k] += rows.T @ payoff[action == k]
        self.squares += float(payoff @ payoff)
        self.n += len(payoff)
        self._refresh()

    def _refresh(self) -> None:
        self._covariance = np.linalg.inv(self.precision)
        self._mean = np.einsum("kij,kj->ki", self._covariance, self.sums)


def lin_ts(setting: Setting) -> Disjoint:
    """Return linear Thompson sampling."""
    return Disjoint(setting, thompson=True)


def lin_ucb(setting: Setting) -> Disjoint:
    """Return LinUCB with a width of one standard deviation."""
    return Disjoint(setting, thompson=False)


def _with_one(x: FloatArray) -> FloatArray:
    return np.hstack([np.ones((len(x), 1)), x])
