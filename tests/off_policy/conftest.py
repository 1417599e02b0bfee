from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from experiments.off_policy import Rounds
from experiments.off_policy.rounds import FloatArray


@dataclass(frozen=True)
class Population:
    """Customers whose expected rewards are known, a logging policy and a target policy."""

    expected: FloatArray
    logging: FloatArray
    target: FloatArray
    model: FloatArray

    @property
    def truth(self) -> float:
        return float((self.target * self.expected).sum(axis=1).mean())

    def log(self, n: int, *, seed: int) -> Rounds:
        rng = np.random.default_rng(seed)
        who = rng.integers(len(self.expected), size=n)
        logging = self.logging[who]
        action = (rng.random((n, 1)) > logging.cumsum(axis=1)).sum(axis=1)
        reward = self.expected[who, action] + rng.normal(size=n)
        return Rounds(action, reward, logging[np.arange(n), action], self.target[who], self.model[who])


def softmax(value: FloatArray) -> FloatArray:
    power = np.exp(value - value.max(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def population() -> Population:
    rng = np.random.default_rng(20240501)
    context = rng.normal(size=(5_000, 3))
    expected = 1 + context @ rng.normal(size=(3, 4)) * 0.3
    model = expected + rng.normal(scale=0.3, size=expected.shape)
    return Population(expected, softmax(0.5 * rng.normal(size=expected.shape)), softmax(expected), model)


@pytest.fixture(scope="session")
def draw(population: Population) -> Callable[..., Rounds]:
    return population.log


@pytest.fixture
def rounds(population: Population) -> Rounds:
    return population.log(300, seed=1)
