"""The pooled sparse model against the textbook: its derivatives, what it finds, what it shrinks, how sure it is."""

from __future__ import annotations

import numpy as np
import pytest

from decision.bundle.models import ShapedOdds, Shapes
from decision.policies.action_features import ActionFeatures
from decision.policies.posterior import sigmoid
from decision.records import FloatArray, action_named
from experiments.learners.base import Rows
from experiments.learners.basis import Basis
from experiments.learners.pooled_linear import PooledLinear
from experiments.learners.pooled_sparse import PooledSparse, SparseFit, blocks_of
from experiments.learners.sparse import _curvature, _gradient

ACTIONS = ("control", "discount@email", "discount@sms", "bogo@email")
FEATURES = ActionFeatures([action_named(a) for a in ACTIONS], 3)


def rows(n: int, log_odds: FloatArray | None = None, *, seed: int = 1) -> tuple[Rows, FloatArray]:
    """Return rows, and their true log-odds [n, K]; `log_odds` [n, K] may be given for the contexts of the seed."""
    rng = np.random.default_rng(seed)
    x = contexts(n, seed=seed)
    action = rng.integers(len(ACTIONS), size=n)
    truth = np.full((n, len(ACTIONS)), -1.0) if log_odds is None else log_odds
    outcome = (rng.random(n) < sigmoid(truth[np.arange(n), action])).astype(float)
    return Rows(x, action, outcome, FEATURES), truth


def contexts(n: int, *, seed: int) -> FloatArray:
    return np.random.default_rng([seed, 1]).standard_normal((n, 3))


def fitted(of: Rows) -> SparseFit:
    found = PooledSparse().fit(of, seed=1)
    assert isinstance(found, SparseFit)
    return found


def explicit_design(fit: SparseFit, x: FloatArray, action: np.ndarray) -> FloatArray:
    """Return the design [n, P] over the weights that exist, one row at a time."""
    here = fit.blocks.scale > 0.0
    columns = fit.basis.columns(x)
    return np.array([np.outer(fit.blocks.codes[k], c)[here] for k, c in zip(action, columns, strict=True)])


def test_the_derivatives_are_those_of_the_explicit_design() -> None:
    of, _ = rows(400)
    fit = fitted(of)
    here = fit.blocks.scale > 0.0
    design = explicit_design(fit, of.x, of.action)
    p = sigmoid(design @ fit.weights[here])
    columns = fit.basis.columns(of.x)
    parts = [(columns[of.action == k], of.outcome[of.action == k]) for k in range(len(ACTIONS))]
    gradient, curvature = (f(parts, fit.blocks.codes, fit.weights, here) for f in (_gradient, _curvature))
    np.testing.assert_allclose(gradient, design.T @ (of.outcome - p), atol=1e-9)
    np.testing.assert_allclose(curvature, (design * (p * (1 - p))[:, None]).T @ design, atol=1e-9)


def test_the_deviation_is_that_of_the_explicit_design() -> None:
    of, _ = rows(400)
    fit = fitted(of)
    found = fit.deviation(of.x[:20])
    for k in range(len(ACTIONS)):
        design = explicit_design(fit, of.x[:20], np.full(20, k))
        expected = np.sqrt(np.einsum("np,pq,nq->n", design, fit.covariance, design))
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-9)


def test_the_served_form_says_the_same() -> None:
    of, _ = rows(400)
    fit = fitted(of)
    every = fit.basis.columns(of.x) @ (fit.blocks.codes @ fit.weights).T
    np.testing.assert_allclose(fit.served.log_odds(of.x), every, atol=1e-10)


def test_it_finds_a_threshold_that_a_straight_line_misses() -> None:
    """A discount works only beyond 1 of the first fact, and annoys below: on average it does little."""
    x = contexts(20_000, seed=5)
    truth = np.full((20_000, 4), -1.0)
    truth[:, 1:3] += np.where(x[:, [0]] > 1.0, 1.5, -0.2)
    of, _ = rows(20_000, truth, seed=5)
    errors = []
    for learner in (PooledSparse(), PooledLinear()):
        odds = learner.fit(of, seed=1).predict(of.x, in_sample=True)
        errors.append(float(np.abs(odds - sigmoid(truth))[:, 1].mean()))
    assert errors[0] < 0.5 * errors[1]


def test_it_finds_an_interaction() -> None:
    x = contexts(20_000, seed=6)
    truth = np.full((20_000, 4), -1.0)
    truth[:, 3] += 0.6 * x[:, 0] * x[:, 1]
    of, _ = rows(20_000, truth, seed=6)
    fit = fitted(of)
    effect = fit.served.log_odds(x)[:, 3] - fit.served.log_odds(x)[:, 0]
    assert np.corrcoef(effect, x[:, 0] * x[:, 1])[0, 1] > 0.9


def test_effects_that_are_not_there_are_shrunk() -> None:
    """Nothing has an effect: straight lines fitted without a prior, an easier task, see far more of one."""
    from sklearn.linear_model import LogisticRegression

    of, _ = rows(8_000, seed=7)
    free = [LogisticRegression(C=1e6).fit(of.x[of.action == k], of.outcome[of.action == k]) for k in range(4)]
    without_prior = np.column_stack([model.decision_function(of.x) for model in free])
    assert spread(fitted(of).served.log_odds(of.x)) < 0.7 * spread(without_prior)


def spread(log_odds: FloatArray) -> float:
    uplift = log_odds[:, 1:] - log_odds[:, :1]
    return float(np.std(uplift - uplift.mean(axis=0)))


def test_intervals_cover_the_truth() -> None:
    """Over fresh trials, a customer's log-odds lie within 1.96 deviations about as often as that says."""
    inside = []
    for seed in range(20, 40):
        x = contexts(3_000, seed=seed)
        truth = -1.0 + x[:, [0]] * np.array([0.3, 0.8, 0.8, -0.2])
        of, _ = rows(3_000, truth, seed=seed)
        fit = fitted(of)
        off = np.abs(fit.served.log_odds(x[:200]) - truth[:200])
        inside.append((off < 1.96 * fit.deviation(x[:200])).mean())
    assert 0.9 < np.mean(inside) <= 1.0


def test_shapes_by_hand() -> None:
    shapes = Shapes(
        np.array([1.0, 0.0]), np.array([2.0, 1.0]), np.array([0]), np.array([4.0]), np.array([0]), np.array([1])
    )
    np.testing.assert_allclose(shapes.columns(np.array([5.0, 3.0])), [1.0, 2.0, 3.0, 1.0, 5.0])
    np.testing.assert_allclose(shapes.columns(np.array([4.0, -1.0])), [1.0, 1.5, -1.0, 0.0, -1.5])
    odds = ShapedOdds(shapes, np.array([[0.0, 1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, -1.0, 0.0]]))
    np.testing.assert_allclose(odds.predict(np.array([5.0, 3.0])), [sigmoid(np.array(2.0)), 0.5])


@pytest.mark.parametrize(("values", "edges"), [([0, 1, 0, 1], 0), ([0, 1, 2, 1], 2), ([3, 3, 3, 3], 0)])
def test_steps_lie_between_values(values: list[float], edges: int) -> None:
    basis = Basis.of_contexts(np.array(values, dtype=float)[:, None], steps=7)
    assert len(basis.shapes.at) == edges
    assert not set(basis.shapes.at.tolist()) & set(values)


def test_columns_but_the_first_are_centred() -> None:
    x = contexts(500, seed=1)
    basis = Basis.of_contexts(x, steps=4).with_products(x, np.arange(3))
    columns = basis.columns(x)
    np.testing.assert_array_equal(columns[:, 0], 1.0)
    np.testing.assert_allclose(columns[:, 1:].mean(axis=0), 0.0, atol=1e-12)
    assert list(np.bincount(basis.kinds)) == [1, 3, 12, 3]


def test_one_offer_or_channel_needs_no_block_of_its_own() -> None:
    alone = ActionFeatures([action_named(a) for a in ("control", "bogo@email")], 1)
    blocks = blocks_of(alone, Basis.of_contexts(contexts(50, seed=1)[:, :1], steps=0))
    np.testing.assert_array_equal(blocks.codes, [[1.0, 0.0], [1.0, 1.0]])
