"""What needs no learning: nothing for anybody, and the one action that the truth says is best for everybody."""

from __future__ import annotations

import numpy as np

from experiments.bench.protocol import FloatArray, IntArray, Setting


class Always:
    """The same action every time."""

    def __init__(self, action: int) -> None:
        """Take the action."""
        self.action = action

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, None]:
        """Return it."""
        return np.full(len(idx), self.action), None

    def update(self, *arrived: object) -> None:
        """Learn nothing."""


def control(setting: Setting) -> Always:
    """Return the policy that does nothing."""
    del setting
    return Always(0)


def best_constant(setting: Setting) -> Always:
    """Return the policy that knows the best constant action."""
    return Always(setting.best_constant)
