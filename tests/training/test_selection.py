"""Learners are chosen by the money their policies make on customers they have not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import FloatArray, action_named
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from experiments.learners import LEARNERS
from experiments.learners.base import Export, Fitted, Learner, Rows
from experiments.learners.linear import LinearFit
from experiments.selection import REFERENCE, Candidate, choose, cross_fit, fold_of, greedy, policy_terms
from tests import trials

FAST: Mapping[str, Learner] = {name: LEARNERS[name] for name in ("constant", "pooled_sparse")}


class Spy:
    """Remembers which rows each fit saw and was asked about; rows are numbered in the only column of `x`."""

    name = "spy"
    complexity = 1

    def __init__(self) -> None:
        self.seen: list[tuple[set[int], set[int]]] = []
        self.honest = True

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        numbers = set(rows.x[:, 0].astype(int).tolist())
        k, spy = rows.actions, self

        class SpyFit:
            def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
                spy.honest = spy.honest and not in_sample
                spy.seen.append((numbers, set(x[:, 0].astype(int).tolist())))
                return np.full((len(x), k), 0.2)

            def export(self) -> Export:
                raise AssertionError

        return SpyFit()


class Refuses:
    name = "refuses"
    complexity = 9

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        raise NotEnoughData("Expected more rows, found fewer.")


class Clairvoyant:
    """Knows the planted effect without any data."""

    name = "clairvoyant"
    complexity = 3

    def __init__(self, column: int, width: int) -> None:
        self.coefficients = np.zeros((3, 1 + width))
        self.coefficients[:, 0] = -1.7
        self.coefficients[:, 1 + column] = [0.0, 1.5, -1.5]

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        return LinearFit(self.coefficients)


@pytest.fixture(scope="module")
def x(data: Dataset) -> FloatArray:
    return encode_all(fit_encoder(data.contexts), data.contexts)


def features(data: Dataset, width: int) -> ActionFeatures:
    return ActionFeatures([action_named(a) for a in data.catalogue], width)


def fitted(
    data: Dataset, x: FloatArray, shop: Programme, learners: Mapping[str, Learner], *, folds: int = 3, repeats: int = 1
) -> dict[str, Candidate]:
    of = features(data, x.shape[1])
    found = cross_fit(data, x, of, shop, folds=folds, repeats=repeats, seed=1, learners=learners)
    return {candidate.name: candidate for candidate in found}


@pytest.fixture(scope="module")
def candidates(data: Dataset, x: FloatArray, shop: Programme) -> dict[str, Candidate]:
    return fitted(data, x, shop, FAST)


def test_nobody_is_judged_by_a_learner_that_saw_her(data: Dataset, shop: Programme) -> None:
    spy, numbers = Spy(), np.arange(float(len(data)))[:, None]
    fitted(data, numbers, shop, {"spy": spy}, folds=3, repeats=2)
    customer = data.customers
    assert len(spy.seen) == 6
    assert spy.honest
    for trained, judged in spy.seen:
        assert trained | judged == set(range(len(data)))
        assert set(customer[list(trained)]).isdisjoint(customer[list(judged)])
    for repeat in (spy.seen[:3], spy.seen[3:]):
        assert sorted(row for _, judged in repeat for row in judged) == list(range(len(data)))


def test_folds_are_of_customers_and_about_equal(data: Dataset) -> None:
    fold = fold_of(data, folds=3, seed=1)
    assert set(fold) == {0, 1, 2}
    for customer in data.customers[:50]:
        assert len(set(fold[data.customers == customer])) == 1
    assert np.bincount(fold).min() > 0.28 * len(data)
    assert (fold != fold_of(data, folds=3, seed=2)).mean() == pytest.approx(2 / 3, abs=0.05)


def test_a_policy_gives_each_the_allowed_action_of_highest_value() -> None:
    found = greedy(np.array([[1.0, 2.0, 0.5], [0.3, -np.inf, 0.2], [-1.0, -np.inf, -np.inf]]))
    assert found.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0]]


def test_control_wins_a_tie() -> None:
    assert greedy(np.array([[0.5, 0.5, 0.5]])).tolist() == [[1, 0, 0]]


def test_terms_are_the_doubly_robust_estimate_by_hand(data: Dataset) -> None:
    part = replace(
        data.where(np.arange(len(data)) < 2),
        action=np.array([0, 2]),
        propensity=np.array([0.5, 0.25]),
        value=np.array([3.0, 8.0]),
    )
    target = np.array([[0.0, 1.0, 0.0], [0.2, 0.0, 0.8]])
    q_hat = np.array([[1.0, 2.0, 4.0], [1.0, 5.0, 6.0]])
    # The first was not what the target does: the model alone. The second: model plus weighted error.
    expected = [2.0, 0.2 * 1.0 + 0.8 * 6.0 + 0.8 / 0.25 * (8.0 - 6.0)]
    np.testing.assert_allclose(policy_terms(part, target, q_hat), expected)


def test_the_value_out_of_sample_is_the_true_value_of_the_policy(
    data: Dataset, past: trials.Past, candidates: dict[str, Candidate]
) -> None:
    """In repurchases, whose truth is known: prices are 1 a repurchase and nothing else."""
    chosen = greedy(candidates["pooled_sparse"].value)
    true = float((chosen * past.truth).sum(axis=1).mean())
    bare = replace(data, value=data.repurchased)
    terms = policy_terms(bare, chosen, candidates["pooled_sparse"].odds)
    assert abs(terms.mean() - true) < 4.0 * terms.std() / np.sqrt(len(terms))


def test_who_sees_customers_is_worth_more_than_a_rule_where_they_differ(candidates: dict[str, Candidate]) -> None:
    gap = candidates["pooled_sparse"].terms - candidates["constant"].terms
    assert gap.mean() > 4.0 * gap.std() / np.sqrt(len(gap))


def test_predictions_follow_the_truth_out_of_fold(past: trials.Past, candidates: dict[str, Candidate]) -> None:
    odds = candidates["pooled_sparse"].odds
    assert odds.shape == past.truth.shape
    assert np.corrcoef((odds[:, 1] - odds[:, 0]), (past.truth[:, 1] - past.truth[:, 0]))[0, 1] > 0.9


def test_mean_and_standard_error_by_hand() -> None:
    candidate = made("a", [1.0, 2.0, 6.0])
    assert candidate.mean == 3.0
    assert candidate.standard_error == pytest.approx(np.sqrt(7.0 / 3.0))


def test_the_same_seed_gives_the_same_candidates(
    data: Dataset, x: FloatArray, shop: Programme, candidates: dict[str, Candidate]
) -> None:
    again = fitted(data, x, shop, FAST)
    for name, candidate in candidates.items():
        np.testing.assert_array_equal(again[name].terms, candidate.terms)


def test_a_learner_that_refuses_is_reported_and_the_others_go_on(
    data: Dataset, x: FloatArray, shop: Programme, candidates: dict[str, Candidate]
) -> None:
    found = fitted(data, x, shop, {"refuses": Refuses(), **FAST})
    assert found["refuses"].failure == "Expected more rows, found fewer."
    assert np.isnan(found["refuses"].mean)
    for name, candidate in candidates.items():
        np.testing.assert_array_equal(found[name].terms, candidate.terms)
    assert choose(list(found.values()))[0].name == choose(list(candidates.values()))[0].name


def test_where_every_learner_refuses_the_reasons_are_told(data: Dataset, x: FloatArray, shop: Programme) -> None:
    with pytest.raises(NotEnoughData, match="none did: Expected more rows, found fewer"):
        fitted(data, x, shop, {"refuses": Refuses()})


def test_customers_too_few_to_fold_are_not_enough(data: Dataset, x: FloatArray, shop: Programme) -> None:
    """Two thousand decisions of one customer leave nobody to train on."""
    one = replace(data, decisions=tuple(structs.replace(d, customer_id="only") for d in data.decisions))
    with pytest.raises(NotEnoughData, match="found 0 of 0"):
        fitted(one, x, shop, FAST)


def test_every_learner_is_told_of(data: Dataset, x: FloatArray, shop: Programme) -> None:
    told: list[str] = []
    learners = {"refuses": Refuses(), "constant": LEARNERS["constant"]}
    of = features(data, x.shape[1])
    cross_fit(data, x, of, shop, folds=2, repeats=1, seed=1, learners=learners, tell=told.append)
    assert told == ["refuses", "constant"]


def test_a_learner_that_knows_more_is_chosen_by_its_money(data: Dataset, x: FloatArray, shop: Programme) -> None:
    """Pooled learning starts from little data here, so that there is something left to know."""
    few = np.arange(len(data)) < 800
    labels = fit_encoder(data.contexts).labels
    learners = {**FAST, "clairvoyant": Clairvoyant(labels.index("age"), x.shape[1])}
    found = fitted(data.where(few), x[few], shop, learners)
    assert found["clairvoyant"].mean > found["constant"].mean
    assert choose([found["constant"], found["clairvoyant"]])[0].name == "clairvoyant"


def made(name: str, terms: list[float] | FloatArray, *, complexity: int = 2, failure: str = "") -> Candidate:
    nothing = np.zeros((0, 0))
    return Candidate(name, complexity, nothing, nothing, np.array(terms), failure=failure)


NOISE = np.random.default_rng(1).standard_normal(400)
LUCK = (NOISE - NOISE.mean()) / NOISE.std(ddof=1)
# The paired difference has a standard error of 1 / 20.


@pytest.mark.parametrize(("lead", "chosen"), [(0.11, "other"), (0.09, REFERENCE), (0.0, REFERENCE), (-1.0, REFERENCE)])
def test_the_reference_stays_unless_beaten_by_two_standard_errors(lead: float, chosen: str) -> None:
    reference, other = made(REFERENCE, np.ones(400)), made("other", 1.0 + lead + LUCK)
    assert choose([other, reference])[0].name == chosen
    assert choose([reference, other])[0].name == chosen


def test_the_difference_is_paired() -> None:
    """What both owe to the same customers' luck says nothing about which is better."""
    common = 100.0 * NOISE
    reference, other = made(REFERENCE, common), made("other", common + 0.1 + 0.01 * NOISE[::-1])
    assert choose([reference, other])[0] is other


def test_the_sentence_says_what_was_compared() -> None:
    reference, best, weak = made(REFERENCE, np.ones(400)), made("best", 1.5 + LUCK), made("weak", 0.5 + LUCK)
    sentence = choose([weak, reference, best])[1]
    assert sentence == (
        f"best beats {REFERENCE} by more than two standard errors "
        "(1.5000 against 1.0000 per decision, standard error of the difference 0.0500)"
    )
    assert "has the highest value out of sample (1.0000 per decision)" in choose([reference, weak])[1]
    assert "best does not beat" in choose([reference, made("best", 1.05 + LUCK)])[1]


def test_without_the_reference_the_simplest_stands_in() -> None:
    simple, flexible = made("simple", np.ones(400), complexity=0), made("flexible", 1.05 + LUCK, complexity=3)
    failed = made(REFERENCE, [], failure="not enough")
    assert choose([flexible, failed, simple])[0] is simple


def test_a_learner_that_failed_is_never_chosen() -> None:
    only = made("only", np.zeros(400), complexity=3)
    assert choose([made(REFERENCE, [], failure="not enough"), only])[0] is only
