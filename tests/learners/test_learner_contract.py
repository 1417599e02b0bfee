"""The contract of every learner; one that is added to `LEARNERS` is held to all of it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from decision.bundle.models import odds_from
from decision.bundle.store import pack, unpack
from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.policies.posterior import sigmoid
from decision.records import action_named
from experiments.learners import LEARNERS
from experiments.learners.base import Fitted, Learner, Rows

FloatArray = NDArray[np.float64]

ACTIONS = ("control", "discount@email", "discount@sms", "bogo@email")
WIDTH = 3
# Log-odds per standard deviation of the first fact; the second fact moves all actions alike, the third nothing.
SLOPES = np.array([0.0, 1.5, 1.2, -1.2])


@dataclass(frozen=True)
class Trial:
    """Randomised rows, and the true odds [n, K] of each action."""

    rows: Rows
    truth: FloatArray


def truth_of(x: FloatArray) -> FloatArray:
    return sigmoid(-1.0 + x[:, [0]] * SLOPES + 0.3 * x[:, [1]])


def draw(n: int, *, seed: int, width: int = WIDTH) -> Trial:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, WIDTH))
    action = rng.integers(len(ACTIONS), size=n)
    truth = truth_of(x)
    outcome = (rng.random(n) < truth[np.arange(n), action]).astype(float)
    features = ActionFeatures([action_named(a) for a in ACTIONS], width)
    return Trial(Rows(x[:, :width], action, outcome, features), truth)


TRIAL = draw(3_000, seed=1)
FRESH = draw(1_000, seed=2)


@cache
def fitted(name: str, seed: int = 1) -> Fitted:
    return LEARNERS[name].fit(TRIAL.rows, seed=seed)


@pytest.fixture(params=sorted(LEARNERS))
def learner(request: pytest.FixtureRequest) -> Learner:
    return LEARNERS[request.param]


def predict(learner: Learner, x: FloatArray = FRESH.rows.x) -> FloatArray:
    return fitted(learner.name).predict(x, in_sample=False)


def test_it_is_registered_under_its_name(learner: Learner) -> None:
    assert LEARNERS[learner.name] is learner
    assert isinstance(learner.complexity, int)


def test_it_predicts_odds_for_every_row_and_action(learner: Learner) -> None:
    odds = predict(learner)
    assert odds.shape == (1_000, len(ACTIONS))
    assert np.isfinite(odds).all()
    assert odds.min() > 0.0
    assert odds.max() < 1.0


@pytest.mark.parametrize("n", [0, 1])
def test_it_predicts_for_no_row_and_for_one(learner: Learner, n: int) -> None:
    np.testing.assert_allclose(predict(learner, FRESH.rows.x[:n]), predict(learner)[:n], rtol=1e-12)


def test_odds_stay_inside_for_customers_far_from_any_seen(learner: Learner) -> None:
    odds = predict(learner, np.full((2, WIDTH), [[1e6], [-1e6]]))
    assert np.isfinite(odds).all()
    assert odds.min() >= 0.0
    assert odds.max() <= 1.0


def test_whether_rows_were_trained_on_must_be_said(learner: Learner) -> None:
    found = fitted(learner.name)
    parameter = inspect.signature(found.predict).parameters["in_sample"]
    assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
    assert parameter.default is inspect.Parameter.empty
    with pytest.raises(TypeError, match="in_sample"):
        found.predict(FRESH.rows.x)  # type: ignore[call-arg]


def test_the_seed_must_be_given(learner: Learner) -> None:
    with pytest.raises(TypeError, match="seed"):
        learner.fit(TRIAL.rows)  # type: ignore[call-arg]


def test_the_same_rows_and_seed_give_the_same_odds(learner: Learner) -> None:
    again = learner.fit(TRIAL.rows, seed=1).predict(FRESH.rows.x, in_sample=False)
    np.testing.assert_array_equal(again, predict(learner))


def test_fitting_does_not_touch_the_rows(learner: Learner) -> None:
    rows = replace(TRIAL.rows, x=TRIAL.rows.x.copy(), action=TRIAL.rows.action.copy())
    for array in (rows.x, rows.action, rows.outcome):
        array.flags.writeable = False
    try:
        learner.fit(rows, seed=1)
    finally:
        rows.outcome.flags.writeable = True
    np.testing.assert_array_equal(rows.x, TRIAL.rows.x)


def test_the_export_is_plain_numbers_that_predict_the_same(learner: Learner) -> None:
    """Through the bytes of a bundle, as the service reads them."""
    export = fitted(learner.name).export()
    arrays = unpack(pack({f"repurchase.{name}": array for name, array in export.arrays.items()}))
    served = odds_from(export.kind, "repurchase", arrays)
    found = np.array([served.predict(row) for row in FRESH.rows.x])
    np.testing.assert_allclose(found, predict(learner), rtol=0.0, atol=1e-9)


def test_it_learns_on_average_what_happened_under_each_action(learner: Learner) -> None:
    """Out of sample, mean odds are near the truth: 0.05 is 3 standard errors of 750 rows, and some shrinking."""
    np.testing.assert_allclose(predict(learner).mean(axis=0), FRESH.truth.mean(axis=0), atol=0.05)


def test_choosing_by_it_beats_choosing_at_random_out_of_sample(learner: Learner) -> None:
    chosen = predict(learner).argmax(axis=1)
    worth = FRESH.truth[np.arange(len(chosen)), chosen].mean()
    best_constant, oracle = FRESH.truth.mean(axis=0).max(), FRESH.truth.max(axis=1).mean()
    assert worth > FRESH.truth.mean()
    if learner.complexity > 0:
        # The planted effect has opposite signs for different customers: most of it can be had.
        assert worth > best_constant + 0.8 * (oracle - best_constant)


def test_the_ranking_by_predicted_uplift_follows_the_true_uplift(learner: Learner) -> None:
    if learner.complexity == 0:
        pytest.skip("the same for every customer by design")
    odds = predict(learner)
    for k in range(1, len(ACTIONS)):
        predicted, true = odds[:, k] - odds[:, 0], FRESH.truth[:, k] - FRESH.truth[:, 0]
        assert np.corrcoef(predicted, true)[0, 1] > 0.8, ACTIONS[k]


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_outcomes_that_never_vary_are_not_enough(learner: Learner, outcome: float) -> None:
    with pytest.raises(NotEnoughData, match="Expected at least"):
        learner.fit(replace(TRIAL.rows, outcome=np.full(3_000, outcome)), seed=1)


@pytest.mark.parametrize("n", [0, 1, 12])
def test_too_few_rows_are_not_enough(learner: Learner, n: int) -> None:
    with pytest.raises(NotEnoughData, match=r"Expected .* found"):
        learner.fit(TRIAL.rows.where(np.arange(3_000) < n), seed=1)


def test_customers_of_whom_nothing_is_known_give_averages_or_a_refusal(learner: Learner) -> None:
    """Where no fact varies, the encoder leaves nothing: a vector of length 0."""
    blind = draw(3_000, seed=1, width=0)
    try:
        found = learner.fit(blind.rows, seed=1)
    except NotEnoughData as error:
        assert "Expected" in str(error)  # noqa: PT017
        return
    odds = found.predict(np.zeros((5, 0)), in_sample=False)
    assert odds.shape == (5, len(ACTIONS))
    np.testing.assert_allclose(odds[0], FRESH.truth.mean(axis=0), atol=0.06)


def test_an_action_that_was_never_given_is_refused_or_borrowed_from_its_relatives(learner: Learner) -> None:
    """`discount@sms` is allowed but the log has none of it: its strength is the e-mail discount's, or there is none."""
    if learner.complexity == 0:
        pytest.skip("on average all treatments do the same here: there is nothing to borrow")
    rows = TRIAL.rows.where(TRIAL.rows.action != 2)
    try:
        odds = learner.fit(rows, seed=1).predict(FRESH.rows.x, in_sample=False)
    except NotEnoughData as error:
        assert "action 2" in str(error)  # noqa: PT017
        return
    assert odds.shape == (1_000, len(ACTIONS))
    away = np.abs(odds[:, 2] - odds[:, 1]).mean()
    assert away < 0.5 * np.abs(odds[:, 2] - odds[:, 3]).mean()


def test_control_alone_can_be_learned_or_refused(learner: Learner) -> None:
    features = ActionFeatures([action_named("control")], WIDTH)
    rows = Rows(TRIAL.rows.x, np.zeros(3_000, dtype=int), TRIAL.rows.outcome, features)
    try:
        odds = learner.fit(rows, seed=1).predict(FRESH.rows.x, in_sample=False)
    except NotEnoughData:
        return
    assert odds.shape == (1_000, 1)


# Effects of the size that a shop sees: a prior that shrinks them a little must still cover them.
MILD = np.array([0.1, 0.25, 0.25, -0.05])


def mild(n: int, *, seed: int) -> Trial:
    """Rows of a world with small effects; two of each customer."""
    drawn = draw(n, seed=seed)
    truth = sigmoid(-1.0 + np.array([0.0, 0.2, 0.2, 0.05]) + drawn.rows.x[:, [0]] * MILD)
    outcome = (np.random.default_rng([seed, 1]).random(n) < truth[np.arange(n), drawn.rows.action]).astype(float)
    return Trial(replace(drawn.rows, outcome=outcome, customer=np.arange(n) // 2), truth)


def test_intervals_cover_the_truth_about_as_often_as_they_say(learner: Learner) -> None:
    """Of the odds and of the uplift; loosely: forests average over customers who differ, and a dozen refits are few."""
    odds_inside, uplift_inside = [], []
    for seed in (31, 32):
        trial = mild(2_000, seed=seed)
        found = learner.fit(trial.rows, seed=1)
        x, truth = trial.rows.x[:150], trial.truth[:150]
        if learner.complexity == 0:
            truth = np.broadcast_to(trial.truth.mean(axis=0), truth.shape)
        odds = found.predict(x, in_sample=True)
        uncertainty = found.uncertainty(x)
        off = np.abs(np.log(odds / (1.0 - odds)) - np.log(truth / (1.0 - truth)))
        odds_inside.append((off < 1.96 * uncertainty.deviation).mean())
        reach = 1.96 * uncertainty.of_gain(odds, np.ones_like(odds))
        assert not reach[:, 0].any()
        missed = np.abs((odds - odds[:, :1]) - (truth - truth[:, :1]))
        uplift_inside.append((missed < reach)[:, 1:].mean())
    assert np.mean(odds_inside) > 0.65
    assert np.mean(uplift_inside) > 0.65


def test_more_rows_make_it_surer(learner: Learner) -> None:
    x = FRESH.rows.x[:50]
    few, many = (learner.fit(mild(n, seed=33).rows, seed=1).uncertainty(x) for n in (1_500, 6_000))
    for uncertainty in (few, many):
        assert uncertainty.deviation.shape == uncertainty.with_control.shape == (50, len(ACTIONS))
        assert np.isfinite(uncertainty.deviation).all()
        assert np.isfinite(uncertainty.with_control).all()
        assert (uncertainty.deviation > 0.0).all()
        np.testing.assert_allclose(uncertainty.with_control[:, 0], uncertainty.deviation[:, 0] ** 2)
    # Four times the rows halve a deviation; trees that grow with the rows gain less.
    assert many.deviation.mean() < 0.85 * few.deviation.mean()
