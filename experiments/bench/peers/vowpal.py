"""Vowpal Wabbit's cb_explore_adf: actions are described by offer and channel, crossed with the customer."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.bench.protocol import FloatArray, IntArray, Setting

CROSSED = "--cb_explore_adf -q xo -q xc -q oc --quiet"
PAYOFF_SCALE = 30.0


class Vowpal:
    """One example a decision: a shared line with the customer, and a line an action."""

    def __init__(self, setting: Setting, options: str) -> None:
        """Begin with what a past trial tells, where there was one."""
        from vowpalwabbit import Workspace  # type: ignore[import-not-found]

        self.vw: Any = Workspace(f"{CROSSED} {options} --random_seed {setting.seed + 1}")
        pairs = zip(setting.offer, setting.channel, strict=True)
        self.lines = [f"|o {setting.offers[o]} |c {setting.channels[c]}" for o, c in pairs]
        self._rng = np.random.default_rng(setting.seed)
        if (past := setting.history) is not None:
            self.update(past.x, past.action, past.bought, past.payoff, past.probability)

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray]:
        """Return actions drawn from what VW answers, with their probabilities."""
        chosen, probability = np.zeros(len(x), dtype=int), np.zeros(len(x))
        for row, customer in enumerate(x):
            odds = np.array(self.vw.predict([_shared(customer), *self.lines]))
            odds /= odds.sum()
            chosen[row] = self._rng.choice(len(odds), p=odds)
            probability[row] = odds[chosen[row]]
        return chosen, probability

    def update(
        self, x: FloatArray, action: IntArray, bought: Any, payoff: FloatArray, probability: FloatArray, *more: object
    ) -> None:
        """Learn costs: payoffs with the other sign."""
        rows = zip(x, action.tolist(), payoff.tolist(), probability.tolist(), strict=True)
        for customer, chosen, brought, odds in rows:
            lines = list(self.lines)
            lines[chosen] = f"0:{-brought / PAYOFF_SCALE:.5f}:{odds:.6f} {lines[chosen]}"
            self.vw.learn([_shared(customer), *lines])


def square_cb(setting: Setting) -> Vowpal:
    """Return inverse-gap weighting with coin betting, gamma 100."""
    return Vowpal(setting, "--squarecb --gamma_scale 100 --coin")


def defaults(setting: Setting) -> Vowpal:
    """Return what VW does unless told otherwise: epsilon-greedy with 5 %."""
    return Vowpal(setting, "")


def _shared(customer: FloatArray) -> str:
    return "shared |x " + " ".join(f"f{i}:{value:.4g}" for i, value in enumerate(customer.tolist()))
