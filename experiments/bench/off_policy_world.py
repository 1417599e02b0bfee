"""Customers whose expected rewards are known, and logs of what policies did with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray, IntArray
from experiments.off_policy import Rounds

CUSTOMERS = 40_000
FEATURES = 4
BASKET_SHAPE = 4.0
BASKET_SCALE = 10.0
BASKET = BASKET_SHAPE * BASKET_SCALE


@dataclass(frozen=True, eq=False)
class World:
    """A finite population: features [N, d], chance of a purchase [N, K], a fixed and wrong reward model [N, K].

    A purchase brings a gamma-distributed amount, 40 on average; in currency units, as the rewards.
    """

    features: FloatArray
    chance: FloatArray
    model: FloatArray

    @classmethod
    def of(cls, *, n_actions: int, seed: int) -> World:
        """Draw a population whose chances of a purchase lie around 6 %."""
        rng = np.random.default_rng(seed)
        features = rng.normal(size=(CUSTOMERS, FEATURES))
        taste = features @ rng.normal(scale=0.5, size=(FEATURES, n_actions)) + rng.normal(scale=0.3, size=n_actions)
        chance = 0.12 / (1 + np.exp(-taste))
        model = BASKET * (0.8 * chance + 0.01 + rng.normal(scale=0.01, size=chance.shape))
        return cls(features, chance, model)

    @property
    def n_actions(self) -> int:
        """K."""
        return int(self.chance.shape[1])

    def worth(self, policy: FloatArray) -> float:
        """The exact value per decision of a policy [N, K]."""
        return float(np.einsum("ij,ij->i", policy, self.chance).mean()) * BASKET

    def greedy(self, value: FloatArray, *, floor: float) -> FloatArray:
        """The policy [N, K] that does what `value` [N, K] is highest for, with an additive floor."""
        k = self.n_actions
        policy: FloatArray = (1 - k * floor) * np.eye(k)[value.argmax(axis=1)] + floor
        return policy

    def noisy(self, *, noise: float, seed: int) -> FloatArray:
        """Chances seen through noise, in their own standard deviations, [N, K]."""
        spread = noise * self.chance.std()
        return self.chance + np.random.default_rng(seed).normal(scale=spread, size=self.chance.shape)

    def log(self, logging: FloatArray, target: FloatArray, *, n: int, seed: int) -> tuple[Rounds, IntArray]:
        """n rounds by the logging policy [N, K], with the target policy's distribution; and who they were."""
        rng = np.random.default_rng(seed)
        who = rng.integers(CUSTOMERS, size=n)
        chances = logging[who]
        action = (rng.random((n, 1)) > chances.cumsum(axis=1)).sum(axis=1).clip(max=self.n_actions - 1)
        bought = rng.random(n) < self.chance[who, action]
        reward = bought * rng.gamma(BASKET_SHAPE, BASKET_SCALE, size=n)
        return Rounds(action, reward, chances[np.arange(n), action], target[who], self.model[who]), who
