"""A readable policy: it finds what was planted, keeps to eight leaves, and says so in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from decision.errors import InvalidInput
from experiments.policy_tree import (
    Condition,
    Node,
    answers_to,
    choose_leaves,
    conditions_of,
    grow,
    prunings,
)
from experiments.wording import action_words, condition_words, fact_words, number, path_words

Contexts = list[dict[str, Any]]


def contexts(n: int, *, seed: int) -> Contexts:
    rng = np.random.default_rng(seed)
    return [
        {
            "days": None if rng.random() < 0.1 else float(rng.integers(0, 100)),
            "area": str(rng.choice(["city", "land", "town"])),
            "consent.sms": float(rng.random() < 0.5),
            "noise": float(rng.normal()),
        }
        for _ in range(n)
    ]


def grown(
    people: Contexts, scores: np.ndarray, *, fewest: int = 30
) -> tuple[list[Condition], np.ndarray, tuple[Node, ...]]:
    conditions = conditions_of(people)
    answers = answers_to(conditions, people)
    return conditions, answers, grow(answers, scores, fewest=fewest)


def size(tree: Node) -> int:
    return len(list(tree.leaves()))


def test_a_tree_finds_the_planted_split_and_says_it_in_words() -> None:
    """An offer pays for who is long away and may be reached; the others are best left alone."""
    people = contexts(3_000, seed=1)
    pays = np.array([(p["days"] or 0.0) > 60.0 and p["consent.sms"] == 1.0 for p in people])
    scores = np.column_stack([np.zeros(3_000), np.where(pays, 2.0, -1.0)])
    scores[:, 1] += np.random.default_rng(2).normal(size=3_000)
    conditions, answers, trees = grown(people, scores)
    small = trees[2]
    said = {path_words([(conditions[c], answer) for c, answer in path]): leaf.action for path, leaf in small.leaves()}
    assert len(said) == 3
    (treated,) = [who for who, action in said.items() if action == 1]
    assert "consent for sms" in treated
    assert any(f"days > {cut}" in treated for cut in (58, 59, 60, 61, 62))
    assert "unknown" not in treated
    assert (small.assign(answers) == pays).mean() > 0.97


def test_looking_ahead_finds_what_no_single_split_shows() -> None:
    """Exclusive or: either fact alone tells nothing."""
    people = contexts(2_000, seed=3)
    city = np.array([p["area"] == "city" for p in people])
    sms = np.array([p["consent.sms"] == 1.0 for p in people])
    # Each half is as good treated as not, to the last decision.
    pays = np.where(city ^ sms, 1.0, -1.0)
    for a in (True, False):
        for b in (True, False):
            inside = (city == a) & (sms == b)
            pays[inside] /= inside.sum()
    _, answers, trees = grown(people, np.column_stack([np.zeros(2_000), pays]))
    assert (trees[3].assign(answers) == (city ^ sms)).all()


def test_four_leaves_are_at_least_the_best_two_levels_of_splits() -> None:
    """Against trying every pair of splits by hand."""
    people, rng = contexts(200, seed=4), np.random.default_rng(4)
    scores = rng.normal(size=(200, 3))
    conditions, answers, trees = grown(people, scores, fewest=10)

    def best_leaf(rows: np.ndarray) -> float:
        return float(scores[rows].sum(axis=0).max())

    def best_split(rows: np.ndarray) -> float:
        found = [best_leaf(rows)]
        for s in range(len(conditions)):
            yes, no = rows & answers[:, s], rows & ~answers[:, s]
            if min(yes.sum(), no.sum()) >= 10:
                found.append(best_leaf(yes) + best_leaf(no))
        return max(found)

    by_hand = max(
        best_split(answers[:, s]) + best_split(~answers[:, s])
        for s in range(len(conditions))
        if 10 <= answers[:, s].sum() <= 190
    )
    assert sum(leaf.total for _, leaf in trees[3].leaves()) >= by_hand - 1e-9
    earned = [sum(leaf.total for _, leaf in tree.leaves()) for tree in trees]
    assert earned == sorted(earned)
    assert [size(tree) <= most for most, tree in enumerate(trees, start=1)] == [True] * 8


def test_leaves_are_at_most_eight_of_at_least_the_fewest_and_hold_everybody_once() -> None:
    people, rng = contexts(1_000, seed=5), np.random.default_rng(5)
    scores = rng.normal(size=(1_000, 4))
    _, answers, trees = grown(people, scores, fewest=60)
    tree = trees[-1]
    place = tree.leaf_of(answers)
    counts = np.bincount(place)
    assert 2 <= size(tree) <= 8
    assert counts.min() >= 60
    for leaf_number, (path, leaf) in enumerate(tree.leaves()):
        inside = place == leaf_number
        assert leaf.rows == inside.sum()
        assert leaf.total == pytest.approx(scores[inside].sum(axis=0).max())
        assert all((answers[inside, c] == answer).all() for c, answer in path)


def test_prunings_are_nested_and_lose_least_first() -> None:
    people, rng = contexts(1_000, seed=6), np.random.default_rng(6)
    trees = prunings(grown(people, rng.normal(size=(1_000, 3)))[2][-1])
    sizes = [size(t) for t in trees]
    totals = [sum(leaf.total for _, leaf in t.leaves()) for t in trees]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert totals == sorted(totals, reverse=True)
    lost = [(a - b) / (m - k) for a, b, m, k in zip(totals, totals[1:], sizes, sizes[1:], strict=False)]
    assert lost == pytest.approx(sorted(lost))


def test_splits_between_the_same_action_are_not_made() -> None:
    people = contexts(500, seed=7)
    tree = grown(people, np.column_stack([np.zeros(500), np.ones(500)]))[2][-1]
    assert size(tree) == 1
    assert next(tree.leaves())[1].action == 1


def test_as_many_leaves_as_pay_out_of_sample() -> None:
    people = contexts(2_000, seed=8)
    rng = np.random.default_rng(8)
    fold = np.arange(2_000) % 2
    conditions = conditions_of(people)
    answers = answers_to(conditions, people)
    noise = np.column_stack([np.full(2_000, 0.3), rng.normal(size=2_000)])
    leaves, given = choose_leaves(answers, noise, noise, fold, fewest=50)
    assert leaves == 1
    assert not given.any()
    sms = np.array([p["consent.sms"] for p in people])
    real = np.column_stack([np.zeros(2_000), 2.0 * sms - 1.0 + rng.normal(size=2_000)])
    leaves, given = choose_leaves(answers, real, real, fold, fewest=50)
    assert leaves == 2
    np.testing.assert_array_equal(given, sms)


def test_the_same_data_give_the_same_tree() -> None:
    people, scores = contexts(800, seed=9), np.random.default_rng(9).normal(size=(800, 3))
    assert grown(people, scores)[2] == grown(people, scores)[2]


def test_a_tree_of_nobody_is_refused() -> None:
    with pytest.raises(InvalidInput, match="same decisions"):
        grow(np.zeros((0, 1), dtype=bool), np.zeros((0, 2)), fewest=1)


def test_questions_are_of_raw_facts_with_round_numbers() -> None:
    people = contexts(2_000, seed=10)
    asked = conditions_of(people)
    assert {c.fact for c in asked} == {"days", "area", "consent.sms", "noise"}
    assert [c for c in asked if c.fact == "consent.sms"] == [Condition("consent.sms", at_most=0.0, yes_or_no=True)]
    assert {c.levels for c in asked if c.fact == "area"} == {("city",), ("land",), ("town",)}
    assert Condition("days") in asked, "who is unknown may differ"
    for c in asked:
        assert c.at_most is None or float(f"{c.at_most:.2g}") == c.at_most


def test_many_levels_are_asked_for_one_by_one_and_rare_ones_not_at_all() -> None:
    people = [{"store": f"s{i % 10}" if i else "rare"} for i in range(1_000)]
    assert {c.levels for c in conditions_of(people)} == {(f"s{k}",) for k in range(10)}


def test_answers_follow_the_conditions_also_for_unknown_facts() -> None:
    asked = [
        Condition("a", at_most=2.0),
        Condition("a", at_most=2.0, unknown=True),
        Condition("a"),
        Condition("b", levels=("x", "y")),
    ]
    people: Contexts = [{"a": 1.0, "b": "x"}, {"a": 3.0, "b": "z"}, {"a": None}, {"b": "y", "a": 2.0}]
    found = answers_to(asked, people)
    np.testing.assert_array_equal(found, [[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0], [1, 1, 0, 1]])
    one_by_one = [[c.holds(person.get(c.fact)) for c in asked] for person in people]
    np.testing.assert_array_equal(found, one_by_one)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ((), "everybody"),
        (((Condition("order_total", at_most=40.0), False),), "order total > 40"),
        (
            ((Condition("order_total", at_most=1500.0), True), (Condition("order_total", at_most=20.5), False)),
            "order total above 20.5 up to 1,500",
        ),
        (
            ((Condition("order_total", at_most=50.0), True), (Condition("order_total", at_most=20.0), True)),
            "order total ≤ 20",
        ),
        (((Condition("consent.sms", at_most=0.0, yes_or_no=True), False),), "consent for sms"),
        (((Condition("consent.sms", at_most=0.0, yes_or_no=True), True),), "no consent for sms"),
        (((Condition("newbie", at_most=0.0, yes_or_no=True), False),), "newbie: yes"),
        (
            ((Condition("area", levels=("a", "b", "c")), True), (Condition("area", levels=("a",)), False)),
            "area is a, b or c and area is not a",
        ),
        (((Condition("trigger", levels=("purchase",), others=("return",)), False),), "trigger is return"),
        (((Condition("age", at_most=30.0, unknown=True), False),), "age > 30"),
        (((Condition("age", at_most=30.0, unknown=False), False),), "age > 30 or unknown"),
        (((Condition("age", at_most=30.0, unknown=True), True),), "age ≤ 30 or unknown"),
        (
            (
                (Condition("age", at_most=60.0, unknown=True), True),
                (Condition("age", at_most=30.0, unknown=True), False),
            ),
            "age above 30 up to 60",
        ),
        (
            (
                (Condition("age", at_most=60.0, unknown=True), True),
                (Condition("age", at_most=30.0, unknown=False), False),
            ),
            "age above 30 up to 60 or unknown",
        ),
        (((Condition("age"), True),), "age is unknown"),
        (((Condition("age"), False),), "age is known"),
    ],
)
def test_ways_to_a_leaf_read_well(path: tuple[tuple[Condition, bool], ...], words: str) -> None:
    assert path_words(path) == words


def test_single_conditions_and_names_read_well() -> None:
    assert condition_words(Condition("area", levels=("a", "b")), answer=False) == "area is not a or b"
    assert (action_words("free_shipping@web_push"), action_words("control")) == ("free shipping, web push", "nothing")
    assert fact_words("days_since_last_order") == "days since last order"
    assert (number(0.25), number(12_000.0)) == ("0.25", "12,000")
