import numpy as np
import pytest

from experiments.uplift_metrics import Trial


def make_trial(n: int, *, seed: int, noise: float = 1.0) -> tuple[Trial, np.ndarray]:
    """Customers treated more often the more they gain, so that only weights get it right; and true uplifts."""
    rng = np.random.default_rng(seed)
    context = rng.normal(size=n)
    truth = 0.5 * context + 0.2
    probability = np.clip(0.5 + 0.15 * context, 0.2, 0.8)
    treated = rng.random(n) < probability
    outcome = 1 + context + truth * treated + noise * rng.normal(size=n)
    return Trial(outcome, treated, truth, probability), truth


@pytest.fixture
def trial() -> Trial:
    return make_trial(2_000, seed=4)[0]


@pytest.fixture(scope="session")
def simulate() -> object:
    return make_trial


@pytest.fixture
def tiny() -> Trial:
    """Eight customers, best prediction first, treated with probability one half."""
    return Trial(
        outcome=np.array([1.0, 0, 1, 0, 1, 0, 0, 1]),
        treated=np.array([True, False, True, False, False, True, True, False]),
        cate=np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]),
        treatment_probability=np.full(8, 0.5),
    )
