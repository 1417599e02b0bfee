"""The belief's update against a numerical optimum, and its laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from decision.errors import EncoreError
from decision.policies.posterior import Posterior, logit, sigmoid


def case(seed: int, *, n: int = 60, p: int = 4) -> tuple[Posterior, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(p, p))
    prior = Posterior(rng.normal(size=p) * 0.3, root @ root.T + 2 * np.eye(p), n=5)
    design, offset = rng.normal(size=(n, p)), rng.normal(size=n) - 1
    outcome = (rng.random(n) < sigmoid(offset + design @ rng.normal(size=p))).astype(float)
    return prior, design, offset, outcome


def loss(weights: np.ndarray, prior: Posterior, design: np.ndarray, offset: np.ndarray, y: np.ndarray) -> float:
    z, away = offset + design @ weights, weights - prior.mean
    return float(np.logaddexp(0, z).sum() - y @ z + 0.5 * away @ prior.precision @ away)


@pytest.mark.parametrize("seed", range(5))
def test_the_mean_is_the_optimum_and_the_precision_its_curvature(seed: int) -> None:
    prior, design, offset, y = case(seed)
    found = prior.updated(design, offset, y)
    brute = minimize(loss, prior.mean, args=(prior, design, offset, y), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(found.mean, brute.x, atol=1e-6)  # what finite differences can tell
    p = sigmoid(offset + design @ found.mean)
    curvature = prior.precision + (design * (p * (1 - p))[:, None]).T @ design
    np.testing.assert_allclose(found.precision, curvature, rtol=1e-12)
    gradient = design.T @ (y - p) - prior.precision @ (found.mean - prior.mean)
    np.testing.assert_allclose(gradient, 0.0, atol=1e-9)
    assert found.n == 65


def test_nothing_new_changes_nothing() -> None:
    prior, design, offset, _ = case(0)
    assert prior.updated(design[:0], offset[:0], np.zeros(0)) is prior


def test_the_order_of_rows_hardly_matters_and_more_rows_are_more_certain() -> None:
    prior, design, offset, y = case(1)
    found, turned = prior.updated(design, offset, y), prior.updated(design[::-1], offset[::-1], y[::-1])
    np.testing.assert_allclose(found.mean, turned.mean, rtol=1e-9)
    assert (np.linalg.eigvalsh(found.precision - prior.precision) > -1e-9).all()


@given(st.integers(0, 10**6))
def test_the_update_converges_whatever_it_is_given(seed: int) -> None:
    """One absurdly large order, or features that tell buyers apart perfectly, must not stop the learning."""
    rng = np.random.default_rng(seed)
    n, p = rng.integers(1, 2_000), rng.integers(1, 20)
    design = rng.normal(size=(n, p)) * 10 ** rng.uniform(-1, 2)
    design[rng.integers(n), rng.integers(p)] = 10 ** rng.uniform(0, 6)
    offset = np.clip(rng.normal(size=n) * rng.choice([0.5, 3.0, 13.0]), -13.8, 13.8)
    separable = rng.random() < 0.5
    y = (design[:, 0] > 0).astype(float) if separable else (rng.random(n) < rng.random()).astype(float)
    prior = Posterior.prior(10 ** rng.uniform(-3, 1, size=p))
    found = prior.updated(design, offset, y)
    at_optimum = loss(found.mean, prior, design, offset, y)
    for _ in range(5):
        aside = found.mean + rng.normal(size=p) * 1e-3 / np.sqrt(np.diag(found.precision))
        assert loss(aside, prior, design, offset, y) >= at_optimum - 1e-9 * (1 + abs(at_optimum))


def test_input_that_is_not_finite_is_refused() -> None:
    prior, design, offset, y = case(2)
    design[0, 0] = np.nan
    with pytest.raises(EncoreError, match="finite"):
        prior.updated(design, offset, y)


def test_sigmoid_and_logit_do_not_overflow() -> None:
    np.testing.assert_array_equal(sigmoid(np.array([-1e308, 0.0, 1e308])), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(sigmoid(logit(np.array([0.0, 0.3, 1.0]))), [1e-6, 0.3, 1 - 1e-6], rtol=1e-9)
