"""What moves the hazard of a purchase in the linear member, in words for a person."""

from __future__ import annotations

import numpy as np

from experiments.behaviour.columns import ALL, FACTS, facts
from experiments.behaviour.repurchase import Repurchase
from experiments.behaviour.state import State

TENTHS = (0.1, 0.5, 0.9)


def hazard_effects(model: Repurchase, state: State) -> list[tuple[str, float, float]]:
    """Return each fact with what its low and its high value add to the log-odds, against its middle."""
    x = facts(state, model.rates)
    hinges, weights = model.linear.hinges, model.linear.weights
    levels = np.quantile(x, TENTHS, axis=0)
    found = []
    for f, name in ((f, FACTS[f]) for f in ALL):
        at = np.tile(levels[1], (3, 1))
        at[:, f] = levels[:, f]
        low, middle, high = (hinges.columns(at) @ weights).tolist()
        found.append((name, low - middle, high - middle))
    return found
