"""Logs that nobody randomised: marked, checked for overlap, for training alone."""

from datetime import UTC, datetime

import numpy as np
import pytest

from decision.errors import InvalidInput, NotEnoughData
from decision.flow.learn import teaches
from decision.records import ESTIMATED_PROPENSITY, Group
from experiments.challenger import Settings, build_challenger
from experiments.dataset import evaluation_set, read_dataset, training_set
from experiments.importing.mapping import InvalidMapping
from experiments.importing.observational import import_observational
from experiments.importing.overlap import NoOverlap, overlap
from experiments.importing.trial_mapping import read_trial_mapping
from experiments.learners import LEARNERS
from experiments.model_card import _kind, _observational

HEADER = "who,arm,years,tier,visit,bought,spend,used"
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def mapping(trial_mapping):
    return trial_mapping.replace('trigger = "purchase"', 'trigger = "purchase"\npropensity = "estimated"')


def log(n, *, slope=0.8, seed=1):
    """Return rows of a shop that gave offers to the old, who buy more by themselves, and the true propensities."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40.0, 10.0, n)
    utility = np.column_stack([np.zeros(n), slope * (age - 40.0) / 10.0, np.full(n, -0.2)])
    truth = np.exp(utility) / np.exp(utility).sum(axis=1, keepdims=True)
    arm = (rng.random(n)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    bought = rng.random(n) < 1 / (1 + np.exp(1.0 - 0.5 * (age - 40.0) / 10.0))
    names = ("none", "thanks", "ten")
    rows = [f"c{i},{names[arm[i]]},{age[i]:.3f},gold,0,{int(bought[i])},{30 * bought[i]},0" for i in range(n)]
    return rows, truth


def imported(shop, mapping, rows):
    read, table = read_trial_mapping(shop.mapping(mapping), shop.file(HEADER, *rows), shop.programme)
    more = {"programme": shop.programme, "ledger": shop.ledger, "now": NOW, "rejects_path": shop.rejects}
    return import_observational(table, read, **more)


def test_the_estimate_is_kept_apart_from_the_propensity(shop, mapping):
    rows, truth = log(3_000)
    receipt = imported(shop, mapping, rows)
    assert receipt.rows == receipt.new + sum(receipt.rejected.values()) == 3_000
    decision = shop.ledger.decision("observational:spring:1")
    assert decision.observational
    assert decision.imported
    assert decision.group is Group.BUSINESS_AS_USUAL
    assert decision.propensity == 1.0
    assert sorted(decision.distribution) == [0.0, 0.0, 1.0]
    assert np.abs(receipt.overlap.propensity - truth).mean() < 0.03
    assert decision.predictions[ESTIMATED_PROPENSITY] == pytest.approx(receipt.overlap.propensity[0])
    assert imported(shop, mapping, rows).new == 0


def test_it_trains_and_never_judges_nor_teaches_the_bandit(shop, mapping):
    imported(shop, mapping, log(3_000)[0])
    assert not teaches(shop.ledger.decision("observational:spring:1"))
    for judging in (read_dataset, evaluation_set):
        with pytest.raises(NotEnoughData, match="random group"):
            judging(shop.ledger, shop.programme)
    data = training_set(shop.ledger, shop.programme)
    assert data.observational.all()
    own = [d.predictions[ESTIMATED_PROPENSITY][d.allowed.index(d.action_id)] for d in data.decisions]
    np.testing.assert_allclose(data.propensity, own)
    assert _kind(data) == "observational"
    assert "observational: estimated propensities" in _observational(data)[0]
    only = {name: LEARNERS[name] for name in ("constant", "pooled_sparse")}
    built = build_challenger(data, shop.programme, Settings(1, 2, 1), now=NOW, learners=only)
    # The belief is the prior still.
    assert not any(built.arrays[name].any() for name in built.arrays if name.endswith("mean"))


def test_randomised_decisions_beside_it_judge_alone(shop, mapping, trial_mapping, fair):
    shop.trial(*fair(100), mapping=trial_mapping.replace("spring", "drawn"))
    imported(shop, mapping, log(2_000)[0])
    assert not evaluation_set(shop.ledger, shop.programme).observational.any()
    data = training_set(shop.ledger, shop.programme)
    assert 0 < data.observational.sum() < len(data)
    assert _kind(data) == "randomised and observational"


def test_weighting_makes_the_groups_alike(shop, mapping):
    seen = imported(shop, mapping, log(4_000)[0]).overlap
    assert seen.before == ("age", pytest.approx(0.45, abs=0.15))
    assert seen.after[1] < 0.1
    text = "\n".join(seen.sentences())
    assert "observational: estimated propensities" in text
    assert "largest standardised mean difference" in text


def test_rows_without_overlap_go_to_the_rejects(shop, mapping):
    rows, _ = log(3_000, slope=2.0)
    receipt = imported(shop, mapping, rows)
    (reason,) = receipt.rejected
    assert reason.startswith("no overlap")
    assert len(shop.rejects.read_text().splitlines()) == 1 + receipt.rejected[reason]
    assert receipt.overlap.propensity[receipt.overlap.keep].min() >= 0.02


def test_a_log_without_support_is_refused_and_nothing_written(shop, mapping):
    """Who got which arm is all but certain from the age."""
    with pytest.raises(NoOverlap, match=r"found that \d+ % of the rows"):
        imported(shop, mapping, log(3_000, slope=25.0)[0])
    with pytest.raises(NoOverlap, match=r"at least 50 rows of every action, found \d+ of"):
        imported(shop, mapping, log(2_000)[0][:60])
    with pytest.raises(NotEnoughData):
        training_set(shop.ledger, shop.programme)


def test_estimates_are_of_customers_the_model_has_not_seen():
    """A fact that names every customer would say exactly what she got; her own rows are not asked."""
    rng = np.random.default_rng(1)
    action = rng.integers(2, size=400)
    contexts = [{"noise": float(v)} for v in rng.standard_normal(400)]
    found = overlap(contexts, action, [f"c{i // 2}" for i in range(400)], ("control", "a@email"))
    np.testing.assert_allclose(found.propensity.sum(axis=1), 1.0)
    assert np.abs(found.propensity - 0.5).max() < 0.2


def test_it_can_not_come_in_as_a_trial(shop, mapping, fair):
    with pytest.raises(InvalidInput, match="estimated propensities"):
        shop.trial(*fair(5), mapping=mapping)


def test_known_odds_contradict_estimated_ones(shop, mapping):
    with pytest.raises(InvalidMapping, match=r"no \[design\] beside"):
        shop.trial(mapping=mapping + "[design]\nnone = 0.5\nthanks = 0.25\nten = 0.25\n")


def test_the_command_says_what_it_is(shop, mapping, encore):
    words = ["import", "trial", shop.file(HEADER, *log(2_000)[0]), "--mapping", shop.mapping(mapping)]
    result = encore(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("observational: estimated propensities.")
    assert "observational decisions: " in result.stdout
