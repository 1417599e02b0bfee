"""What training reads: the ledger's finished randomised decisions, split by customer for good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from decision.errors import NotEnoughData
from decision.flow.learn import Student, learn
from decision.flow.sweep import sweep
from decision.ledger.base import Rewarded
from decision.money import MICROS
from decision.records import Group, RewardStatus
from decision.stages.groups import EVALUATION_SHARE
from experiments.dataset import Dataset, _propensity, evaluation_set, read_dataset, training_set
from experiments.off_policy import ESTIMATORS, Rounds
from tests import support, trials


def read(folder: Path, rows: Sequence[Rewarded]) -> Dataset:
    return trials.dataset(folder / "home", rows)


def edited(row: Rewarded, reward: dict[str, Any] | None = None, /, **decision: Any) -> Rewarded:
    return Rewarded(structs.replace(row.decision, **decision), replace(row.reward, **(reward or {})))


@pytest.fixture(scope="module")
def few() -> tuple[Rewarded, ...]:
    return trials.past(40).rows


def test_it_holds_what_the_ledger_holds(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    data = read(tmp_path, few)
    assert data.catalogue == trials.ACTIONS
    assert [d.decision_id for d in data.decisions] == [row.decision.decision_id for row in few]
    assert [data.catalogue[k] for k in data.action] == [row.decision.action_id for row in few]
    assert data.allowed.all()
    assert data.propensity.tolist() == [1 / 3] * 40
    for name in ("repurchased", "visited", "redeemed"):
        assert getattr(data, name).tolist() == [float(getattr(row.reward, name)) for row in few]
    assert data.revenue.tolist() == [row.reward.revenue_micros / MICROS for row in few]
    assert data.value.tolist() == [row.reward.value_micros / MICROS for row in few]
    assert data.contexts == [dict(row.decision.context) for row in few]
    assert data.customers.tolist() == [row.decision.customer_id for row in few]
    assert data.ends_at == max(row.decision.decided_at for row in few)


@pytest.mark.parametrize(
    ("group", "policy_version", "teaches"),
    [
        (Group.RANDOM, "business_as_usual", True),
        (Group.RANDOM, "20260101-abc+3", True),
        (Group.POLICY, "20260101-abc+3", True),
        (Group.POLICY, "business_as_usual", False),
        (Group.HOLDOUT, "20260101-abc+3", False),
        (Group.BUSINESS_AS_USUAL, "20260101-abc+3", False),
    ],
)
def test_only_the_random_group_and_what_a_bundle_decided_teach(
    few: tuple[Rewarded, ...], tmp_path: Path, group: Group, policy_version: str, teaches: bool
) -> None:
    """Before the first promotion the policy group gets the shop's own rule, with certainty."""
    others = [edited(row, group=group, policy_version=policy_version) for row in few[:15]]
    assert len(read(tmp_path, [*others, *few[15:]])) == (40 if teaches else 25)


def test_imported_trials_teach(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    assert all(row.decision.imported for row in few)
    assert len(read(tmp_path, few)) == 40


def test_rewards_that_are_not_final_do_not_teach(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    """A negative that has not matured yet is not a negative, and a positive may still be refunded."""
    early = [edited(row, {"status": RewardStatus.PROVISIONAL}) for row in few[:15]]
    assert len(read(tmp_path, [*early, *few[15:]])) == 25


def test_the_latest_reward_counts(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    home = trials.home(tmp_path / "home", few)
    refunded = replace(few[7].reward, repurchased=False, revenue_micros=0, value_micros=-50_000)
    home.ledger().record_rewards([refunded], [])
    data = read_dataset(home.ledger(), trials.programme())
    assert data.value[7] == -0.05
    assert not data.repurchased[7]


def test_nothing_finished_is_said_with_what_to_do(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    early = [edited(row, {"status": RewardStatus.PROVISIONAL}) for row in few]
    with pytest.raises(NotEnoughData, match=r"found none\. Import a past trial"):
        read(tmp_path, early)


def test_actions_that_nobody_was_ever_allowed_are_not_in_the_catalogue(
    few: tuple[Rewarded, ...], tmp_path: Path
) -> None:
    control = few[0].decision
    only = [
        edited(row, action_id=a, allowed=("control", "bogo@on_page"), distribution=(0.5, 0.5), propensity=0.5)
        for row, a in zip(few, ["control", "bogo@on_page"] * 20, strict=True)
    ]
    assert read(tmp_path, only).catalogue == ("control", "bogo@on_page")
    assert control.allowed == trials.ACTIONS


def test_dropped_actions_leave_with_their_decisions_and_their_probability(tmp_path: Path) -> None:
    """The law: among what is left, the value of a constant action is estimated without bias.

    The log gave a now dropped action half of the time. Of the rest, control was given to one in three, as its
    propensity must say; the logged one in six would double every weight.
    """
    rng = np.random.default_rng(5)
    actions = ("control", "discount@email", "bogo@on_page", "flowers@pigeon")
    chances = (1 / 6, 1 / 6, 1 / 6, 1 / 2)
    rows = []
    for row in trials.past(1_500).rows:
        k = rng.choice(4, p=chances)
        paid = {"value_micros": 5 * MICROS, "status": RewardStatus.FINAL}
        logged = {"allowed": actions, "distribution": chances, "propensity": chances[k]}
        rows.append(edited(row, paid, action_id=actions[k], **logged))
    data = read(tmp_path, rows)
    assert data.catalogue == trials.ACTIONS
    assert 650 < len(data) < 850
    np.testing.assert_allclose(data.propensity, 1 / 3)
    target = np.zeros((len(data), 3))
    target[:, 0] = 1.0
    found = ESTIMATORS["ips"].estimate(Rounds(data.action, data.value, data.propensity, target))
    assert abs(found.value - 5.0) < 4.0 * found.standard_error


@given(
    draws=st.lists(st.integers(min_value=0, max_value=400), min_size=3, max_size=3),
    kept=st.sampled_from([("control",), ("control", "bogo@on_page"), trials.ACTIONS]),
)
def test_no_propensity_exceeds_one_whatever_was_dropped(draws: list[int], kept: tuple[str, ...]) -> None:
    """What the service logs: shares of 1,024 draws under a floor, of which the programme keeps some."""
    actions = (*trials.ACTIONS, "flowers@pigeon")
    chances = tuple((1.0 - 4 * 0.002) * n / 1024 + 0.002 for n in (*draws, max(1024 - sum(draws), 0)))
    row = structs.replace(
        trials.decided("d", "c", "control", {}, actions=actions), propensity=chances[0], distribution=chances
    )
    assert 0.0 < _propensity(row, {a: k for k, a in enumerate(kept)}) <= 1.0
    assert _propensity(row, {"control": 0}) == 1.0


def test_what_was_no_choice_judges_but_does_not_train(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    """Nor does what was a choice only between offers of which the programme keeps one."""
    alone = {"action_id": "control", "allowed": ("control",), "distribution": (1.0,), "propensity": 1.0}
    gone = {"allowed": ("control", "flowers@pigeon"), "distribution": (0.5, 0.5), "propensity": 0.5}
    rows = [edited(row, **alone) for row in few[:10]]
    rows += [edited(row, **{**alone, **gone}) for row in few[10:20]]
    home, programme = trials.home(tmp_path / "home", [*rows, *few[20:]]), trials.programme()
    training, held_out = read_dataset(home.ledger(), programme).split(salt=programme.salt)
    certain = {row.decision.decision_id for row in few[:20]}
    found = training_set(home.ledger(), programme)
    assert [d.decision_id for d in found.decisions] == [
        d.decision_id for d in training.decisions if d.decision_id not in certain
    ]
    judges = evaluation_set(home.ledger(), programme)
    assert judges.sha256 == held_out.sha256
    assert certain.intersection(d.decision_id for d in judges.decisions)
    assert len(found) < len(training)


def test_every_decision_is_trained_on_or_learned_later_and_none_is_both(tmp_path: Path) -> None:
    """Served decisions wait for refunds, rows of a trial do not: the trial runs on while the service starts.

    The window was shortened meanwhile, so that the first unfinished decision is not the first that is due.
    """
    trial = trials.past(240).rows
    home, programme = trials.home(tmp_path / "home", trial), trials.programme()
    ledger, serves_from = home.ledger(), trial[100].decision.decided_at + timedelta(minutes=1)
    for n in range(60):
        at = serves_from + timedelta(minutes=20 * n)
        waits = timedelta(days=30 if n < 20 else 10)
        served = structs.replace(
            trials.decided(f"s-{n}", f"k-{n}", trials.ACTIONS[n % 3], {}), policy_version="20260101-abc+0"
        )
        ledger.record_decision(structs.replace(served, decided_at=at, matures_at=at + waits), (), seen_version=0)
    now = serves_from + timedelta(days=10, hours=12)
    sweep(programme=programme, ledger=ledger, now=now)
    assert ledger.counts()["unfinished"] < 60

    data = training_set(ledger, programme)
    through = data.ends_at + timedelta(microseconds=1)
    bundle = support.write_bundle(home.bundles, support.manifest(actions=trials.ACTIONS, trained_through=through))
    sweep(programme=programme, ledger=ledger, now=trials.NOW)
    student = Student.of(bundle)
    later = [r.decision for r in ledger.finished(start=through, end=trials.NOW) if student.takes(r.decision)]
    assert learn(bundle, programme=programme, ledger=ledger, now=trials.NOW).outcomes == len(later)

    trained, learned = ({d.decision_id for d in decisions} for decisions in (data.decisions, later))
    everyone, _ = read_dataset(ledger, programme).split(salt=programme.salt)
    assert trained.isdisjoint(learned)
    assert trained | learned >= {d.decision_id for d in everyone.decisions}
    assert 40 < len(trained) < 80


def test_what_never_teaches_is_not_waited_for(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    home, programme = trials.home(tmp_path / "home", few), trials.programme()
    before = training_set(home.ledger(), programme)
    held = structs.replace(few[0].decision, decision_id="held", customer_id="held", group=Group.HOLDOUT)
    home.ledger().record_decision(held, (), seen_version=0)
    assert training_set(home.ledger(), programme).sha256 == before.sha256


def test_a_customer_is_on_one_side_for_good(data: Dataset) -> None:
    training, evaluation = data.split(salt="pepper")
    assert len(training) + len(evaluation) == len(data)
    assert set(training.customers).isdisjoint(evaluation.customers)
    # Every third customer of the trial comes twice.
    assert len(set(data.customers)) < 0.8 * len(data)


def test_the_evaluation_set_is_its_share_of_the_customers(data: Dataset) -> None:
    customers = len(set(data.customers))
    share = len(set(data.split(salt="pepper")[1].customers)) / customers
    assert abs(share - EVALUATION_SHARE) < 4.0 * np.sqrt(EVALUATION_SHARE * (1.0 - EVALUATION_SHARE) / customers)


def test_more_data_move_nobody_to_the_other_side(data: Dataset) -> None:
    early, late = data.where(np.arange(len(data)) < 1_000), data
    side = {c: False for c in late.split(salt="pepper")[0].customers} | {
        c: True for c in late.split(salt="pepper")[1].customers
    }
    for found, held_out in zip(early.split(salt="pepper"), (False, True), strict=True):
        assert {side[c] for c in found.customers} == {held_out}


def test_another_salt_splits_otherwise(data: Dataset) -> None:
    one, two = (set(data.split(salt=salt)[1].customers) for salt in ("pepper", "chili"))
    # Independent splits: a share of the one is in the other as well.
    assert len(one & two) / len(one) == pytest.approx(EVALUATION_SHARE, abs=0.08)


def test_the_split_is_independent_of_the_measurement_group(data: Dataset) -> None:
    from decision.stages.hashing import uniform

    customers = sorted(set(data.customers))
    group = [uniform("pepper", "group", c) for c in customers]
    held_out = set(data.split(salt="pepper")[1].customers)
    assert abs(np.corrcoef(group, [c in held_out for c in customers])[0, 1]) < 4.0 / np.sqrt(len(customers))


def test_a_part_keeps_rows_together(data: Dataset) -> None:
    keep = data.action == 2
    part = data.where(keep)
    assert len(part) == int(keep.sum())
    assert {d.action_id for d in part.decisions} == {"bogo@on_page"}
    np.testing.assert_array_equal(part.value, data.value[keep])
    np.testing.assert_array_equal(part.allowed, data.allowed[keep])


def test_the_same_data_have_the_same_hash(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    one, two = (trials.dataset(tmp_path / name, few) for name in ("one", "two"))
    assert one.sha256 == two.sha256
    assert len(one.sha256) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"repurchased": "flip"},
        {"visited": "flip"},
        {"redeemed": "flip"},
        {"revenue_micros": 1},
        {"value_micros": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_hash_changes_with_any_reward(few: tuple[Rewarded, ...], tmp_path: Path, change: dict[str, Any]) -> None:
    reward = few[11].reward
    new = {name: not getattr(reward, name) if value == "flip" else value for name, value in change.items()}
    other = [*few[:11], edited(few[11], new), *few[12:]]
    assert trials.dataset(tmp_path / "one", few).sha256 != trials.dataset(tmp_path / "two", other).sha256


def test_the_hash_changes_with_what_was_known_and_decided(few: tuple[Rewarded, ...], tmp_path: Path) -> None:
    row = few[11]
    context = {**row.decision.context, "age": 99.0}
    changes: list[dict[str, Any]] = [{"context": context}, {"customer_id": "someone"}, {"propensity": 0.25}]
    found = {trials.dataset(tmp_path / "as it was", few).sha256}
    for i, change in enumerate(changes):
        other = [*few[:11], edited(row, **change), *few[12:]]
        found.add(trials.dataset(tmp_path / str(i), other).sha256)
    assert len(found) == 4
