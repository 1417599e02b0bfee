"""MABWiser's contextual bandits on the payoff, one ridge regression an action."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.protocol import FloatArray, IntArray, Setting

PAYOFF_SCALE = 10.0
RIDGE = 10.0


class MabWiser:
    """Acts at random until the first outcomes have arrived."""

    def __init__(self, setting: Setting, learning: str, *, alpha: float) -> None:
        """Begin with what a past trial tells, where there was one."""
        from mabwiser.mab import MAB, LearningPolicy  # type: ignore[import-not-found]

        policy = getattr(LearningPolicy, learning)(alpha=alpha, l2_lambda=RIDGE)
        self.actions = setting.actions
        self.mab: Any = MAB(list(range(setting.actions)), policy, seed=setting.seed, n_jobs=1)
        self.fitted = False
        self._rng = np.random.default_rng(setting.seed)
        if (past := setting.history) is not None:
            self.update(past.x, past.action, past.bought, past.payoff)

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, None]:
        """Return what it predicts."""
        if not self.fitted:
            return self._rng.integers(self.actions, size=len(x)), None
        return np.atleast_1d(self.mab.predict(_with_one(x))), None

    def update(self, x: FloatArray, action: IntArray, bought: Any, payoff: FloatArray, *more: object) -> None:
        """Learn from payoffs."""
        learn = self.mab.partial_fit if self.fitted else self.mab.fit
        learn(action, payoff / PAYOFF_SCALE, _with_one(x))
        self.fitted = True


def lin_ts(setting: Setting) -> MabWiser:
    """Return LinTS."""
    return MabWiser(setting, "LinTS", alpha=0.1)


def lin_ucb(setting: Setting) -> MabWiser:
    """Return LinUCB."""
    return MabWiser(setting, "LinUCB", alpha=0.1)


def _with_one(x: FloatArray) -> FloatArray:
    return np.hstack([np.ones((len(x), 1)), x])
