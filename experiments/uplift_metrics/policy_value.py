"""What giving every customer a chosen action would earn, from a randomised log."""

from __future__ import annotations

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy import Dr, Estimate, Ips, Rounds
from experiments.off_policy.rounds import IntArray


def policy_value(rounds: Rounds, assigned: IntArray, *, level: float = 0.95) -> Estimate:
    """The value of the deterministic policy that gives action `assigned[i]` in round i.

    With `rounds.q_hat` by augmented inverse propensity weighting (Robins et al. 1994), which is dr; without
    by ips. `rounds.target` is not looked at.

    Raises
    ------
    InvalidInput : assigned is not int[n] with 0 <= assigned < K.
    """
    chosen = np.asarray(assigned)
    fits = chosen.shape == rounds.action.shape and np.issubdtype(chosen.dtype, np.integer)
    if not fits or chosen.min() < 0 or chosen.max() >= rounds.n_actions:
        raise InvalidInput(
            f"assigned must be {len(rounds)} actions in 0..{rounds.n_actions - 1}, found {chosen.dtype} "
            f"of shape {list(chosen.shape)}.",
            hint="Give the number of one action for every round.",
        )
    target = np.zeros((len(rounds), rounds.n_actions))
    target[np.arange(len(rounds)), chosen] = 1.0
    estimator = Ips() if rounds.q_hat is None else Dr()
    return estimator.estimate(rounds.with_target(target), level=level)
