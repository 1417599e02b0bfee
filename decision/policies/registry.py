"""The bandits that a bundle may name."""

from __future__ import annotations

from collections.abc import Mapping

from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit
from decision.policies.epsilon_greedy import EpsilonGreedy
from decision.policies.inverse_gap import InverseGap
from decision.policies.linucb import LinUcb
from decision.policies.posterior import Posterior
from decision.policies.thompson import Thompson

# They need nothing but the belief; what they explore with is written in their files.
CONTRASTS: Mapping[str, type[EpsilonGreedy | InverseGap | LinUcb]] = {
    "epsilon_greedy": EpsilonGreedy,
    "inverse_gap": InverseGap,
    "linucb": LinUcb,
}
BANDITS = ("thompson", *CONTRASTS)


def bandit_named(
    name: str, features: ActionFeatures, posterior: Posterior, *, draws: int, exploration: float, seed: int
) -> Bandit:
    """Return the bandit of one of the names in BANDITS; `draws`, `exploration` and `seed` are Thompson sampling's.

    Raises
    ------
    KeyError : no bandit has this name.
    numpy.linalg.LinAlgError : the posterior's precision is not positive definite.
    """
    if name == "thompson":
        return Thompson(features, posterior, draws=draws, exploration=exploration, seed=seed)
    return CONTRASTS[name](features, posterior)
