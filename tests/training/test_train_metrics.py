"""The figures of a training run: equal to hand computations, with intervals, absent where data are too few."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from decision.bundle.store import BundleStore
from decision.errors import NotEnoughData
from decision.programme.model import Programme
from decision.serving import Champion, champion_from
from experiments import plots
from experiments.challenger import Challenger, Settings, build_challenger
from experiments.dataset import Dataset
from experiments.feature_effects import FactEffect, feature_effects
from experiments.learners import LEARNERS
from experiments.learners.base import Learner
from experiments.model_card import model_card
from experiments.selection import Candidate
from experiments.tracking import description
from experiments.train_metrics import (
    Measured,
    Metric,
    as_csv,
    best_treatment,
    by_fold,
    costs,
    measure,
    reference_scores,
    segments_of,
)
from experiments.train_report import Report
from experiments.train_trials import treatment_trials
from experiments.tree_report import PolicyTree, policy_tree, scores_of
from tests import trials
from tests.training.test_plots import check

ONE: Mapping[str, Learner] = {"pooled_linear": LEARNERS["pooled_linear"]}


@pytest.fixture(scope="module")
def challenger(data: Dataset, shop: Programme) -> Challenger:
    return build_challenger(data, shop, Settings(seed=1, folds=2, repeats=1), now=trials.NOW, learners=ONE)


@pytest.fixture(scope="module")
def chosen(challenger: Challenger) -> Candidate:
    return challenger.chosen


@pytest.fixture(scope="module")
def served(challenger: Challenger, tmp_path_factory: pytest.TempPathFactory) -> Champion:
    store = BundleStore(tmp_path_factory.mktemp("bundles"))
    return champion_from(store.write(challenger.manifest, challenger.arrays))


@pytest.fixture(scope="module")
def measured(data: Dataset, chosen: Candidate) -> Measured:
    return measure(data, chosen, reference_scores(data, [chosen]), seed=1, replicates=50)


@pytest.fixture(scope="module")
def tree(data: Dataset, chosen: Candidate, shop: Programme) -> PolicyTree:
    return policy_tree(data, chosen, shop, ONE, seed=1)


@pytest.fixture(scope="module")
def effects(data: Dataset, served: Champion, shop: Programme) -> list[FactEffect]:
    return feature_effects(data, served, shop, seed=1)


def test_the_value_of_a_policy_by_propensities_is_a_weighted_mean(
    data: Dataset, chosen: Candidate, measured: Measured
) -> None:
    by_name = {metric.name: metric for metric in measured.metrics}
    followed = chosen.value.argmax(axis=1) == data.action
    by_hand = float((followed * data.value / data.propensity).mean())
    assert by_name["policy_value_ips"].value == pytest.approx(by_hand)
    assert by_name["policy_value"].value == pytest.approx(float(chosen.terms.mean()))


def test_gains_are_paired_differences_of_doubly_robust_scores(
    data: Dataset, chosen: Candidate, measured: Measured
) -> None:
    scores = scores_of(data, chosen.value)
    by_name = {metric.name: metric.value for metric in measured.metrics}
    value = by_name["policy_value"]
    assert by_name["gain_over_control"] == pytest.approx(value - scores[:, 0].mean())
    assert by_name["gain_over_best_constant"] == pytest.approx(value - scores.mean(axis=0).max())


def test_every_metric_has_an_interval_around_it_and_a_definition(measured: Measured) -> None:
    names = [metric.name for metric in measured.metrics]
    assert len(set(names)) == len(names)
    for metric in measured.metrics:
        assert metric.finite
        assert metric.low <= metric.value <= metric.high, metric.name
        assert metric.definition
    for treatment in trials.ACTIONS[1:]:
        for name in ("qini", "auuc", "uplift_at_20_percent", "calibration_error", "calibration_slope"):
            assert f"{name}/{treatment}" in names
    assert measured.absent == {}


def test_a_learner_that_sees_the_effect_ranks_customers_by_it(measured: Measured) -> None:
    by_name = {metric.name: metric for metric in measured.metrics}
    assert by_name["targeting_gain"].low > 0.0
    for treatment in trials.ACTIONS[1:]:
        assert by_name[f"qini/{treatment}"].low > 0.0
        assert by_name[f"calibration_slope/{treatment}"].low > 0.5


def test_the_same_seed_measures_the_same(data: Dataset, chosen: Candidate, measured: Measured) -> None:
    scores = reference_scores(data, [chosen])
    assert measure(data, chosen, scores, seed=1, replicates=50) == measured
    other = measure(data, chosen, scores, seed=2, replicates=50)
    assert other.entries()["policy_value"] == measured.entries()["policy_value"]
    assert other.entries()["targeting_gain_low"] != measured.entries()["targeting_gain_low"]


def test_too_few_data_are_absent_with_a_reason_and_never_nan(data: Dataset, chosen: Candidate) -> None:
    few = np.arange(len(data)) < 40
    part = replace(chosen, odds=chosen.odds[few], value=chosen.value[few], terms=chosen.terms[few])
    found = measure(data.where(few), part, scores_of(data, chosen.value)[few], seed=1, replicates=50)
    assert set(found.absent) == set(trials.ACTIONS[1:])
    assert "needs 30 treated and control decisions" in found.absent["bogo@on_page"]
    assert all(np.isfinite(list(found.entries().values())))


def test_what_is_no_number_is_left_out_of_mlflow() -> None:
    found = Measured((Metric("qini/a@b", 1.0, 0.5, 1.5, ""), Metric("auuc/a@b", 1.0, -np.inf, np.inf, "")))
    assert found.entries("by_fold/") == {
        "by_fold/qini/a at b": 1.0,
        "by_fold/qini/a at b_low": 0.5,
        "by_fold/qini/a at b_high": 1.5,
    }


def test_folds_hold_everybody_once(data: Dataset, chosen: Candidate, measured: Measured) -> None:
    scores = reference_scores(data, [chosen])
    folds = by_fold(data, chosen, scores, folds=2, seed=1)
    values = [part.entries()["policy_value"] for part in folds]
    assert min(values) <= measured.entries()["policy_value"] <= max(values)
    table = list(csv.DictReader(io.StringIO(as_csv(measured, folds))))
    assert {row["customers"] for row in table} == {"all", "fold 1", "fold 2"}
    assert {row["metric"] for row in table} == {metric.name for metric in measured.metrics}


def test_treatments_are_compared_with_control_alone(data: Dataset, chosen: Candidate) -> None:
    found, absent = treatment_trials(data, chosen.odds)
    assert (set(found), absent) == (set(trials.ACTIONS[1:]), {})
    for k, action_id in enumerate(trials.ACTIONS):
        if k:
            trial = found[action_id]
            assert int(trial.treated.sum()) == int((data.action == k).sum())
            assert len(trial) == int(np.isin(data.action, [0, k]).sum())


def test_costs_average_to_what_was_spent(data: Dataset, chosen: Candidate, shop: Programme) -> None:
    """Contact 0.05 and a tenth of the basket by e-mail, 3.00 a redemption on the page."""
    predicted, scores = costs(data, chosen.odds, shop)
    mail, page = data.action == 1, data.action == 2
    by_mail = 0.05 + 0.10 * (data.redeemed * data.revenue)[mail].mean()
    on_page = 3.00 * data.redeemed[page].mean()
    assert predicted[:, 0].tolist() == [0.0] * len(data)
    assert predicted.mean(axis=0)[1:] == pytest.approx([by_mail, on_page], rel=0.1)
    assert scores.mean(axis=0)[1:] == pytest.approx([by_mail, on_page], rel=0.1)


def test_the_best_treatment_may_be_worth_less_than_control() -> None:
    assert best_treatment(np.array([[5.0, 1.0, 2.0], [0.0, -np.inf, -3.0]])).tolist() == [2, 2]


def test_the_four_groups_hold_everybody(data: Dataset, chosen: Candidate) -> None:
    segments, thresholds = segments_of(data, chosen)
    assert sum(segment.share.value for segment in segments) == pytest.approx(1.0)
    assert thresholds.noticeable == pytest.approx(thresholds.sure / 10)
    check(plots.four_groups(segments, thresholds))


def test_the_tree_finds_what_was_planted_and_is_judged_on_others(tree: PolicyTree) -> None:
    """The old are to get the discount, the young buy-one-get-one: this is all that matters in the trial."""
    assert tree.gained.low > 0.0
    assert len(tree.leaves) <= 8
    assert sum(leaf.share for leaf in tree.leaves) == pytest.approx(1.0)
    assert {leaf.action_id for leaf in tree.leaves} >= {"discount@email", "bogo@on_page"}
    assert tree.root.condition is not None
    first = tree.conditions[tree.root.condition]
    assert first.fact == "age"
    assert first.at_most == pytest.approx(40.0, abs=4.0)
    assert tree.lost.value == pytest.approx(tree.full_model.value - tree.value.value)
    assert tree.lost.low < 0.2 * tree.gained.value


def test_the_tree_reads_as_sentences(tree: PolicyTree) -> None:
    said = tree.sentences("EUR")
    assert said[0].startswith("1. if age ")
    assert "% of decisions" in said[0]
    assert "EUR per decision [" in said[0]
    better = replace(tree, lost=replace(tree.lost, value=-0.5, low=-0.7, high=-0.3))
    assert better.against_full_model() == "the rules earn 0.50 [0.30, 0.70] more"
    worse = replace(tree, lost=replace(tree.lost, value=0.5, low=0.3, high=0.7))
    assert "full model" in worse.sentences("EUR")[-2]
    assert worse.sentences("EUR")[-2].endswith("the rules lose 0.50 [0.30, 0.70].")
    assert said[-1].startswith("Against one action for everybody")
    logged = tree.metrics()
    assert logged["policy_tree/leaves"] == len(tree.leaves)
    assert logged["policy_tree/lost_low"] <= logged["policy_tree/lost"] <= logged["policy_tree/lost_high"]


def test_the_same_seed_grows_the_same_tree(data: Dataset, chosen: Candidate, shop: Programme, tree: PolicyTree) -> None:
    assert policy_tree(data, chosen, shop, ONE, seed=1) == tree


def test_a_tree_needs_data(data: Dataset, chosen: Candidate, shop: Programme) -> None:
    few = np.arange(len(data)) < 100
    with pytest.raises(NotEnoughData, match="needs 400 decisions, found 100"):
        policy_tree(data.where(few), chosen, shop, ONE, seed=1)


def test_the_picture_of_the_tree_is_readable(tree: PolicyTree) -> None:
    check(plots.policy_tree(tree, unit="EUR"))


def test_the_fact_that_matters_comes_first(effects: list[FactEffect], data: Dataset) -> None:
    assert effects[0].fact == "age"
    assert effects[0].strength > 3.0 * effects[1].strength
    for one in effects:
        assert one.down.effect.value <= one.up.effect.value
        assert one.down.effect.low <= one.down.effect.value <= one.down.effect.high
    check(plots.feature_effects(effects, unit="EUR"))


def test_the_card_says_what_it_is_and_what_it_is_not(
    data: Dataset, challenger: Challenger, shop: Programme, measured: Measured, tree: PolicyTree
) -> None:
    failed = Candidate("failed", 9, np.zeros(0), np.zeros(0), np.zeros(0), failure="not enough rows")
    seen = {True: Report({}, tree), False: Report({}, None, "too few decisions")}
    for with_tree, report in seen.items():
        card = model_card(
            challenger.manifest.versioned(),
            data,
            replace(shop, simulated=not with_tree),
            candidates=[challenger.chosen, failed],
            because="it is best",
            measured=measured,
            report=report,
        )
        assert f"{len(data):,} finished randomised decisions" in card
        assert data.sha256 in card
        assert shop.digest in card
        assert "| failed | - | not enough rows |" in card
        assert "It was chosen because it is best." in card
        assert "| policy_value | " in card
        assert ("1. if age " in card) is with_tree
        assert ("too few decisions" in card) is not with_tree
        assert ("**Simulated" in card) is not with_tree
        assert "nan" not in card


def test_a_long_card_is_cut_between_lines() -> None:
    card = "\n".join(f"line {i}" for i in range(2_000))
    cut = description(card)
    assert len(cut) < 5_000
    assert cut.endswith("The rest is in the run's `model_card.md`.\n")
    assert set(cut.splitlines()[:-2]) <= set(card.splitlines()) | {""}
    assert description("short") == "short"


@pytest.mark.parametrize("n", [1, 10])
def test_plots_in_money_are_readable(data: Dataset, chosen: Candidate, n: int, tmp_path: Path) -> None:
    from experiments.uplift_metrics import budget_curve, by_decile, share_curve

    scores = scores_of(data, chosen.value)
    gains = scores - scores[:, :1]
    predicted = chosen.value - chosen.value[:, :1]
    parts = by_decile(predicted[:, 1], gains[:, 1], None, parts=n)
    check(plots.deciles(parts, unit="EUR"))
    by_share = share_curve(predicted[:, 1], gains[:, 1], None, seed=1, replicates=50)
    cost = np.tile([0.0, 0.5, 0.2], (len(data), 1))
    by_budget = budget_curve(predicted, cost, gains, cost, None)
    constants = {f"a_very_long_name_of_an_offer_{i}@web_push for everybody": (0.1 * i, 0.2) for i in range(n)}
    check(plots.budget_and_share(by_share, by_budget, constants, unit="EUR"))
