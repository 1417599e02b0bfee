"""How many rewarded decisions stand behind a contrast of actions: with too few, its interval does not hold.

An action that was hardly drawn, or that hardly ever brings anything, is known by a handful of decisions. The variance
that its interval is made of is seen in the same handful, and is too small when they are missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.ab.bandit_contrasts import BanditLog, decisions_between
from experiments.ab.soundness import Check, Finding

# Simulated, see docs/ab.md: from here on intervals of 95 % hold in 95 of 100 logs, 94 with heavy tails; below, where
# rewards are rare and a policy is greedy, in as few as 16.
FEWEST_REWARDED = 25.0


def rewarded_decisions(
    log: BanditLog, actions: tuple[int, int], *, cluster: NDArray[np.generic]
) -> tuple[float, float]:
    """Return for both actions the effective number of rewarded decisions (Kish 1965).

    A decision counts by its weight in the contrast and by how far its reward is from the action's usual one (the
    median, which is nothing where rewards are rare); decisions of one `cluster` [T] are one.
    """
    both, share = decisions_between(log, actions)
    first, second = (_effective(log, action, both, share, cluster) for action in actions)
    return first, second


def enough_rewarded(
    log: BanditLog, actions: tuple[int, int], names: tuple[str, str], *, cluster: NDArray[np.generic]
) -> Check:
    """Return whether enough rewarded decisions stand behind both actions for an interval that holds."""
    found = dict(zip(names, rewarded_decisions(log, actions, cluster=cluster), strict=True))
    few = [f"{n:.3g} of {name}" for name, n in found.items() if n < FEWEST_REWARDED]
    if few:
        text = f"Too early: {FEWEST_REWARDED:.0f} rewarded decisions are needed as weighed, found {' and '.join(few)}."
        return Check("rewarded decisions", Finding.UNSOUND, text)
    least = min(found.values())
    text = f"An effective number of {least:,.0f} rewarded decisions or more stands behind both actions."
    return Check("rewarded decisions", Finding.SOUND, text)


def _effective(
    log: BanditLog, action: int, both: NDArray[np.intp], share: NDArray[np.float64], cluster: NDArray[np.generic]
) -> float:
    drawn = log.action[both] == action
    if not drawn.any():
        return 0.0
    rows = both[drawn]
    away = np.abs(log.reward[rows] - np.median(log.reward[rows])) * share[drawn] / log.propensity[rows, action]
    _, customer = np.unique(cluster[rows], return_inverse=True)
    each = np.bincount(customer, weights=away)
    squares = float((each**2).sum())
    return float(each.sum()) ** 2 / squares if squares > 0 else 0.0
