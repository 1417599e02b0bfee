"""Customers whose expected rewards are known, and logs of what policies did with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.records import FloatArray, IntArray
from experiments.off_policy import Rounds

CUSTOMERS = 40_000
FEATURES = 4
BASKET_SHAPE = 4.0
BASKET_SCALE = 10.0
BASKET = BASKET_SHAPE * BASKET_SCALE
SQUARED_BASKET = BASKET * (BASKET + BASKET_SCALE)


@dataclass(frozen=True, slots=True)
class Shop:
    """What is simulated: K, twice the usual chance of a purchase, the baskets' tail, and what may be done.

    `tail` is the standard deviation of the logarithm of a basket, log-normal with the same mean; 0 means
    gamma-distributed. `allowed` is the chance that an action other than the first may be done for a customer.
    """

    n_actions: int
    most: float = 0.12
    tail: float = 0.0
    allowed: float = 1.0


@dataclass(frozen=True, eq=False)
class World:
    """A finite population: chance of a purchase [N, K], a fixed and wrong reward model [N, K], what is allowed [N, K].

    A purchase brings 40 on average; in currency units, as the rewards.
    """

    chance: FloatArray
    model: FloatArray
    allowed: NDArray[np.bool_]
    tail: float

    @classmethod
    def of(cls, shop: Shop, *, seed: int) -> World:
        """Draw a population whose chances of a purchase lie around half of `shop.most`."""
        rng = np.random.default_rng(seed)
        k = shop.n_actions
        features = rng.normal(size=(CUSTOMERS, FEATURES))
        taste = features @ rng.normal(scale=0.5, size=(FEATURES, k)) + rng.normal(scale=0.3, size=k)
        chance = shop.most / (1 + np.exp(-taste))
        off = shop.most / 12
        model = BASKET * (0.8 * chance + off + rng.normal(scale=off, size=chance.shape))
        allowed = rng.random(chance.shape) < shop.allowed
        allowed[:, 0] = True
        return cls(chance, model, allowed, shop.tail)

    @property
    def n_actions(self) -> int:
        """K."""
        return int(self.chance.shape[1])

    def worth(self, policy: FloatArray) -> float:
        """The exact value per decision of a policy [N, K]."""
        return float(np.einsum("ij,ij->i", policy, self.chance).mean()) * BASKET

    def least_error(self, logging: FloatArray, one: FloatArray, other: FloatArray, *, n: int) -> float:
        """The standard error of one policy's worth less the other's that no unbiased estimator is below.

        That of doubly robust with the true expectations (Hahn 1998), for n rounds with gamma-distributed baskets.
        """
        difference = one - other
        noise = SQUARED_BASKET * self.chance - (BASKET * self.chance) ** 2
        within = np.divide(difference**2 * noise, logging, out=np.zeros_like(noise), where=logging > 0)
        between = (difference * self.chance).sum(axis=1).var() * BASKET**2
        return float(np.sqrt((within.sum(axis=1).mean() + between) / n))

    def uniform(self) -> FloatArray:
        """The policy [N, K] that does everything that is allowed alike."""
        policy: FloatArray = self.allowed / self.allowed.sum(axis=1, keepdims=True)
        return policy

    def softmax(self, value: FloatArray, *, temperature: float) -> FloatArray:
        """The policy [N, K] whose probabilities are proportional to exp(value / temperature) where allowed."""
        power = np.where(self.allowed, np.exp((value - value.max(axis=1, keepdims=True)) / temperature), 0.0)
        policy: FloatArray = power / power.sum(axis=1, keepdims=True)
        return policy

    def greedy(self, value: FloatArray, *, floor: float) -> FloatArray:
        """The policy [N, K] that does what `value` [N, K] is highest for, with an additive floor."""
        best = np.eye(self.n_actions)[np.where(self.allowed, value, -np.inf).argmax(axis=1)]
        spread = floor * self.allowed
        policy: FloatArray = (1 - spread.sum(axis=1, keepdims=True)) * best + spread
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
        # The last bound is 1 but for rounding, which must not draw an action that isn't allowed.
        bounds = chances.cumsum(axis=1)
        action = (rng.random((n, 1)) * bounds[:, -1:] > bounds).sum(axis=1)
        bought = rng.random(n) < self.chance[who, action]
        reward = bought * self._baskets(n, rng)
        return Rounds(action, reward, chances[np.arange(n), action], target[who], self.model[who]), who

    def _baskets(self, n: int, rng: np.random.Generator) -> FloatArray:
        if self.tail:
            return BASKET * rng.lognormal(-(self.tail**2) / 2, self.tail, size=n)
        return rng.gamma(BASKET_SHAPE, BASKET_SCALE, size=n)
