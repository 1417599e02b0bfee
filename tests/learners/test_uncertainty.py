"""How sure a fit is: the posterior against the textbook, refits by customer, and what it means in money."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decision.errors import NotEnoughData
from decision.policies.posterior import sigmoid
from experiments.learners.base import Uncertainty
from experiments.learners.linear import LinearFit
from experiments.learners.pooled_linear import SCALES, PooledLinear
from experiments.learners.t_learner import TLearner
from experiments.learners.uncertainty import Refits, resampled, spread
from experiments.learners.uplift_forest import UpliftForest
from tests.learners.test_learners_one_by_one import drawn


def test_the_posterior_of_the_pooled_model_is_the_inverse_of_the_curvature() -> None:
    rows = drawn(800)
    fitted = PooledLinear().fit(rows, seed=1)
    p = fitted.predict(rows.x, in_sample=True)[np.arange(800), rows.action]
    design = rows.features.design(rows.action, rows.x)
    prior = 1.0 / rows.features.prior_variance(SCALES)
    prior[0] = 0.0
    covariance = np.linalg.inv(design.T @ (design * (p * (1 - p))[:, None]) + np.diag(prior))
    found = fitted.uncertainty(rows.x[:3])
    control = rows.features.design(np.zeros(3, dtype=int), rows.x[:3])
    for k in range(5):
        own = rows.features.design(np.full(3, k), rows.x[:3])
        np.testing.assert_allclose(found.deviation[:, k] ** 2, np.diag(own @ covariance @ own.T), rtol=1e-8)
        np.testing.assert_allclose(found.with_control[:, k], np.diag(own @ covariance @ control.T), atol=1e-12)


def test_models_of_their_own_share_nothing_with_control() -> None:
    rows = drawn(2_000)
    found = TLearner().fit(rows, seed=1).uncertainty(rows.x[:10])
    np.testing.assert_allclose(found.with_control[:, 1:], 0.0, atol=1e-12)
    assert (found.deviation > 0.0).all()


def test_spread_by_hand() -> None:
    draws = np.array([[[0.0, 1.0]], [[2.0, 5.0]]])
    found = spread(draws)
    np.testing.assert_allclose(found.deviation, [[np.sqrt(2.0), np.sqrt(8.0)]])
    np.testing.assert_allclose(found.with_control, [[2.0, 4.0]])


def test_the_spread_of_a_gain_is_that_of_many_draws() -> None:
    """First order, against log-odds drawn from the normal that it describes."""
    covariance = np.array([[0.04, 0.03], [0.03, 0.05]])
    at, worth = np.array([-1.0, -0.6]), np.array([30.0, 25.0])
    draws = np.random.default_rng(1).multivariate_normal(at, covariance, size=200_000)
    gains = worth[1] * sigmoid(draws[:, 1]) - worth[0] * sigmoid(draws[:, 0])
    uncertainty = Uncertainty(np.sqrt(np.diag(covariance))[None], covariance[:1])
    found = uncertainty.of_gain(sigmoid(at)[None], worth[None])
    assert found[0, 0] == 0.0
    assert found[0, 1] == pytest.approx(gains.std(), rel=0.03)


def test_a_customer_is_drawn_with_all_her_rows() -> None:
    rows = drawn(60)
    rows = replace(rows, x=np.arange(60.0)[:, None], customer=np.array([f"c{i // 3}" for i in range(60)]))
    again = resampled(rows, np.random.default_rng(1))
    times = np.bincount(again.x[:, 0].astype(int), minlength=60).reshape(20, 3)
    assert (times == times[:, :1]).all()
    assert len(again.x) == 60
    assert times.max() > 1
    assert (again.customer == [f"c{int(i) // 3}" for i in again.x[:, 0]]).all()


def test_repeats_of_a_customer_tell_nothing_new() -> None:
    """Each row four times over: by row it looks surer than it is, by customer it does not."""
    rows = drawn(1_000)
    fourfold = rows.where(np.repeat(np.arange(1_000), 4))
    known = replace(fourfold, customer=np.repeat(np.arange(1_000), 4))
    learner = UpliftForest(trees=5, depth=2)
    by_row, by_customer = (
        Refits(learner, each, seed=1).uncertainty(rows.x[:50]).deviation.mean() for each in (fourfold, known)
    )
    assert by_customer > 1.5 * by_row


def test_fitting_makes_no_refits() -> None:
    made = []

    class Counted(UpliftForest):
        def fit(self, rows, *, seed):  # type: ignore[no-untyped-def]
            made.append(seed)
            return super().fit(rows, seed=seed)

    fitted = Counted(trees=2, depth=2).fit(drawn(1_500), seed=1)
    assert made == [1]
    first = fitted.uncertainty(drawn(5).x).deviation
    assert len(made) == 13
    np.testing.assert_array_equal(fitted.uncertainty(drawn(5).x).deviation, first)
    assert len(made) == 13


def test_where_refits_fail_the_reason_is_told() -> None:
    """Five customers with an outcome: most draws hold fewer."""
    rows = drawn(400)
    rare = np.zeros(400)
    rare[[np.flatnonzero(rows.action == k)[i] for k in range(5) for i in range(5)]] = 1.0
    fitted = UpliftForest(trees=2, depth=2).fit(replace(rows, outcome=rare), seed=1)
    with pytest.raises(NotEnoughData, match="refits to tell how sure causalml_uplift_forest is"):
        fitted.uncertainty(rows.x[:5])


def test_coefficients_from_nowhere_are_not_sure_of_anything() -> None:
    with pytest.raises(NotEnoughData, match="found none"):
        LinearFit(np.zeros((2, 2))).uncertainty(np.zeros((1, 1)))
