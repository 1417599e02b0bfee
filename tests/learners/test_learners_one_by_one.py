"""What is particular to a learner, and the arithmetic that linear ones share."""

from __future__ import annotations

import numpy as np
import pytest

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures, PriorScales
from decision.policies.posterior import sigmoid
from decision.records import FloatArray, action_named
from experiments.learners.base import Rows
from experiments.learners.constant import Constant
from experiments.learners.linear import LinearFit, collapse
from experiments.learners.pooled_linear import SCALES, PooledLinear
from experiments.learners.t_learner import TLearner, arm_names
from experiments.learners.uplift_forest import UpliftForest

ACTIONS = ("control", "discount@email", "discount@sms", "bogo@email", "bogo@on_page")


def features(width: int, actions: tuple[str, ...] = ACTIONS) -> ActionFeatures:
    return ActionFeatures([action_named(a) for a in actions], width)


def drawn(n: int, width: int = 3, *, seed: int = 1, lift: tuple[float, ...] = (0.0, 0.8, 0.8, -0.5, 0.2)) -> Rows:
    rng = np.random.default_rng(seed)
    x, action = rng.standard_normal((n, width)), rng.integers(len(ACTIONS), size=n)
    odds = sigmoid(-1.0 + np.array(lift)[action] + (0.5 * x[:, 0] if width else 0.0))
    return Rows(x, action, (rng.random(n) < odds).astype(float), features(width))


@pytest.mark.parametrize("actions", [("control",), ("control", "discount@email"), ACTIONS])
@pytest.mark.parametrize("width", [0, 1, 4])
def test_collapsed_weights_equal_the_product_with_the_design(width: int, actions: tuple[str, ...]) -> None:
    rng = np.random.default_rng(width)
    of = features(width, actions)
    weights, x = rng.standard_normal(of.size), rng.standard_normal((20, width))
    coefficients = collapse(of, weights, 0.7)
    assert coefficients.shape == (len(actions), width + 1)
    for k in range(len(actions)):
        expected = 0.7 + of.design(np.full(20, k), x) @ weights
        np.testing.assert_allclose(coefficients[k, 0] + x @ coefficients[k, 1:], expected, rtol=0, atol=1e-12)


def test_linear_odds_by_hand() -> None:
    found = LinearFit(np.array([[0.0, 1.0], [1.0, -2.0]])).predict(np.array([[0.5]]), in_sample=False)
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-0.5)), 0.5]])


def test_the_constant_learner_says_the_same_of_every_customer() -> None:
    rows = drawn(2_000)
    odds = Constant().fit(rows, seed=1).predict(rows.x, in_sample=True)
    np.testing.assert_array_equal(odds, np.broadcast_to(odds[0], odds.shape))


def test_the_constant_learner_does_not_look_at_the_context() -> None:
    rows = drawn(2_000)
    other = Rows(-3.0 * rows.x[:, ::-1], rows.action, rows.outcome, rows.features)
    one, two = (Constant().fit(r, seed=1).export().arrays["coefficients"] for r in (rows, other))
    np.testing.assert_array_equal(one, two)
    assert not one[:, 1:].any()


def test_constant_odds_are_shrunk_from_the_rates_towards_each_other() -> None:
    rows = drawn(2_000)
    odds = Constant().fit(rows, seed=1).predict(rows.x[:1], in_sample=True)[0]
    rates = np.array([rows.outcome[rows.action == k].mean() for k in range(len(ACTIONS))])
    assert list(np.argsort(odds)) == list(np.argsort(rates))
    assert np.ptp(odds) < np.ptp(rates)
    np.testing.assert_allclose(odds, rates, atol=0.04)


def test_pooling_is_the_posterior_mode_under_a_prior_for_each_block() -> None:
    """At the mode the gradient of the log-posterior is zero: recomputed here from the odds it predicts."""
    rows = drawn(1_500)
    fitted = PooledLinear().fit(rows, seed=1)
    design = rows.features.design(rows.action, rows.x)
    odds = fitted.predict(rows.x, in_sample=True)[np.arange(1_500), rows.action]
    gradient = design.T @ (rows.outcome - odds)
    # The mode's weights follow from its own gradient: w = variance * gradient. They must give the same odds.
    weights = rows.features.prior_variance(SCALES) * gradient
    intercept = _logit(odds)[0] - design[0] @ weights
    np.testing.assert_allclose(collapse(rows.features, weights, intercept), _coefficients(fitted), atol=1e-3)


def _logit(p: FloatArray) -> FloatArray:
    return np.log(p / (1.0 - p))


def _coefficients(fitted: object) -> FloatArray:
    found: FloatArray = fitted.export().arrays["coefficients"]  # type: ignore[attr-defined]
    return found


def test_a_tighter_prior_pulls_the_actions_together() -> None:
    rows = drawn(1_000)
    tight = PriorScales(10.0, 1.0, 0.02, 0.02, 0.02, 0.02, 0.02)
    spread = [
        np.ptp(PooledLinear(scales).fit(rows, seed=1).predict(np.zeros((1, 3)), in_sample=False))
        for scales in (SCALES, tight)
    ]
    assert spread[1] < 0.3 * spread[0]


def test_an_action_with_few_rows_borrows_from_others_of_its_offer() -> None:
    rows = drawn(4_000)
    first = np.cumsum(rows.action == 2) <= 10
    scarce = rows.where((rows.action != 2) | first)
    odds = PooledLinear().fit(scarce, seed=1).predict(np.zeros((1, 3)), in_sample=False)[0]
    # Both discounts do the same in truth; 10 rows alone would be off by a standard error of 0.16.
    assert abs(odds[2] - odds[1]) < 0.08


def test_the_odds_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = drawn(1_000)
    order = np.random.default_rng(3).permutation(1_000)
    mixed = Rows(rows.x[order], rows.action[order], rows.outcome[order], rows.features)
    for learner in (Constant(), PooledLinear(), TLearner()):
        one, two = (learner.fit(r, seed=1).predict(rows.x[:50], in_sample=True) for r in (rows, mixed))
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_t_learner_gives_each_action_a_model_of_its_own() -> None:
    """Other outcomes under one action move the odds of that action only."""
    rows = drawn(2_000)
    flipped = np.where(rows.action == 3, 1.0 - rows.outcome, rows.outcome)
    other = Rows(rows.x, rows.action, flipped, rows.features)
    one, two = (TLearner().fit(r, seed=1).predict(rows.x[:50], in_sample=True) for r in (rows, other))
    same = [0, 1, 2, 4]
    np.testing.assert_array_equal(one[:, same], two[:, same])
    assert np.abs(one[:, 3] - two[:, 3]).mean() > 0.1


@pytest.mark.parametrize("step", [1.0, 0.1])
def test_the_forest_on_arrays_predicts_what_causalml_predicts(step: float) -> None:
    """Against causalml's own walk through its own trees, also for numbers right at a threshold.

    Thresholds are half way between the numbers seen, as nearly as float32 can say; tenths it can't say exactly.
    """
    from causalml.inference.tree import UpliftRandomForestClassifier

    rows = drawn(3_000)
    rows.x[:] = np.round(3.0 * rows.x) * step
    made: list[UpliftRandomForestClassifier] = []

    class Kept(UpliftRandomForestClassifier):  # type: ignore[misc]
        def fit(self, *arguments: object, **named: object) -> None:
            made.append(self)
            super().fit(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("causalml.inference.tree.UpliftRandomForestClassifier", Kept)
        fitted = UpliftForest(trees=6, depth=4).fit(rows, seed=1)
    for x in (rows.x[:300], rows.x[:300] + 0.5 * step):
        odds = fitted.predict(x, in_sample=False)
        np.testing.assert_allclose(odds[:, 1:] - odds[:, [0]], made[0].predict(x), atol=1e-9)
        assert np.ptp(odds[:, 0]) > 0.05


def test_arms_are_counted_for_either_outcome() -> None:
    rows = drawn(2_000)
    assert arm_names(rows) == ["000", "001", "002", "003", "004"]
    spoiled = np.where(rows.action == 3, 0.0, rows.outcome)
    with pytest.raises(
        NotEnoughData, match=r"at least 5 of either outcome for every action, found 0 of \d+ for action 3"
    ):
        arm_names(Rows(rows.x, rows.action, spoiled, rows.features))
