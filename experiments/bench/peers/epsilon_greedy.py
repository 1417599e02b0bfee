"""Epsilon-greedy over a logistic regression of the repurchase, priced with what a repurchase is worth.

Offers and channels are shared features, as a team with scikit-learn would do it: refitted on everything, now and then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.protocol import FloatArray, IntArray, Setting

EPSILON = 0.05
FIRST_FIT = 500
GROWTH = 1.15


class EpsilonGreedy:
    """Explores uniformly in one decision of twenty, and in all of them until 500 outcomes have arrived."""

    def __init__(self, setting: Setting) -> None:
        """Begin with what a past trial tells, where there was one."""
        self.setting = setting
        self.designs: list[FloatArray] = []
        self.outcomes: list[FloatArray] = []
        self.n, self.next_fit = 0, FIRST_FIT
        self.model: Any = None
        self._rng = np.random.default_rng(setting.seed)
        if (past := setting.history) is not None:
            self.update(past.x, past.action, past.bought)

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the best actions, or now and then any."""
        n, k = len(idx), self.setting.actions
        if self.model is None:
            return self._rng.integers(k, size=n), np.full(n, 1.0 / k)
        every = self._design(np.repeat(x, k, axis=0), np.tile(np.arange(k), n))
        odds = self.model.predict_proba(every)[:, 1].reshape(n, k)
        best = (odds * self.setting.net[idx] - self.setting.contact).argmax(axis=1)
        chosen = np.where(self._rng.random(n) < EPSILON, self._rng.integers(k, size=n), best)
        return chosen, EPSILON / k + (1.0 - EPSILON) * (chosen == best)

    def update(self, x: FloatArray, action: IntArray, bought: Any, *more: object) -> None:
        """Remember outcomes; refit whenever there are 15 % more."""
        self.designs.append(self._design(x, action))
        self.outcomes.append(np.asarray(bought, float))
        self.n += len(action)
        if self.n >= self.next_fit:
            from sklearn.linear_model import LogisticRegression

            self.designs, self.outcomes = [np.vstack(self.designs)], [np.concatenate(self.outcomes)]
            self.model = LogisticRegression(C=0.05, solver="newton-cholesky").fit(self.designs[0], self.outcomes[0])
            self.next_fit = int(GROWTH * self.n)

    def _design(self, x: FloatArray, action: IntArray) -> FloatArray:
        offers = np.eye(len(self.setting.offers))[self.setting.offer[action]]
        channels = np.eye(len(self.setting.channels))[self.setting.channel[action]]
        parts = np.hstack([offers, channels])
        return np.hstack([x, parts, (parts[:, :, None] * x[:, None, :]).reshape(len(x), -1)])
