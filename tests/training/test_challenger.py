"""From a training set to the parts of a bundle, and from the bundle back to the same predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from decision.bundle.store import Bundle, BundleStore
from decision.errors import NotEnoughData
from decision.flow.decide import decide
from decision.flow.sweep import sweep
from decision.ledger.base import Rewarded
from decision.ledger.sqlite import SqliteLedger
from decision.policies.action_features import ActionFeatures
from decision.policies.posterior import logit
from decision.programme.model import Programme
from decision.records import FloatArray, Group, action_named
from decision.serving import Serving, base_posterior, champion_from
from experiments.challenger import FEWEST_DECISIONS, Challenger, Settings, build_challenger
from experiments.components import fit_components, values
from experiments.dataset import Dataset, training_set
from experiments.encoding import encode_all, fit_encoder
from experiments.learners import LEARNERS
from experiments.learners.base import Learner, Rows
from tests import support, trials
from tests.trials import NOW

FAST = ("constant", "pooled_sparse")
SETTINGS = Settings(seed=1, folds=2, repeats=1)


def learners(*names: str) -> Mapping[str, Learner]:
    return {name: LEARNERS[name] for name in names}


@pytest.fixture(scope="module")
def training(data: Dataset, shop: Programme) -> Dataset:
    return data.split(salt=shop.salt)[0]


@pytest.fixture(scope="module")
def challenger(training: Dataset, shop: Programme) -> Challenger:
    return build_challenger(training, shop, SETTINGS, now=NOW, run_id="run-1", learners=learners(*FAST))


@pytest.fixture(scope="module")
def bundle(challenger: Challenger, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return BundleStore(tmp_path_factory.mktemp("bundles")).write(challenger.manifest, challenger.arrays)


def test_the_manifest_says_where_the_bundle_comes_from(
    challenger: Challenger, training: Dataset, shop: Programme
) -> None:
    manifest, found = challenger.manifest, challenger.manifest.provenance
    assert (manifest.actions, manifest.policy, manifest.seed) == (trials.ACTIONS, "thompson", 1)
    assert manifest.heads == {"repurchase": "shaped", "visit": "linear"}
    assert manifest.created_at == NOW
    assert found.learner == challenger.chosen.name == "pooled_sparse"
    assert (found.run_id, found.rows, found.seed) == ("run-1", len(training), 1)
    assert (found.data_sha256, found.programme_digest) == (training.sha256, shop.digest)


def test_the_bandit_starts_right_after_the_last_decision_it_was_trained_on(
    challenger: Challenger, training: Dataset
) -> None:
    last = max(d.decided_at for d in training.decisions)
    assert timedelta(0) < challenger.manifest.trained_through - last <= timedelta(microseconds=1)


@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_the_service_predicts_from_the_bundle_what_the_learner_predicted(
    name: str, training: Dataset, shop: Programme, tmp_path: Path
) -> None:
    """Every learner: through training, the file and the service's own code, against the fitted models in memory."""
    built = build_challenger(training, shop, SETTINGS, now=NOW, learners=learners(name))
    champion = champion_from(BundleStore(tmp_path).write(built.manifest, built.arrays))
    encoder = fit_encoder(training.contexts)
    x = encode_all(encoder, training.contexts)
    of = ActionFeatures([action_named(a) for a in training.catalogue], encoder.width)
    odds = LEARNERS[name].fit(Rows(x, training.action, training.repurchased, of), seed=1)
    models = fit_components(training, x, of, seed=1)
    part = training.where(np.arange(len(training)) < 40)
    components = models.predict(x[:40], odds.predict(x[:40], in_sample=True))
    expected = values(shop, part, components)
    actions = [action_named(a) for a in part.catalogue]
    for i, decision in enumerate(part.decisions):
        np.testing.assert_array_equal(champion.encoder.encode(decision.context), x[i])
        goal = shop.goal_of(decision.store)
        found = champion.value(shop, goal, allowed=actions, context=decision.context)
        seen = found.outlook.components
        np.testing.assert_allclose(seen.repurchase, components.repurchase[i], rtol=0, atol=1e-9)
        np.testing.assert_allclose(seen.visit, components.visit[i], rtol=0, atol=1e-9)
        np.testing.assert_allclose(seen.basket, components.basket[i], rtol=1e-9)
        np.testing.assert_allclose(found.outlook.worth.value(seen.repurchase), expected[i], rtol=0, atol=1e-9)


def test_the_policy_gives_people_what_moves_them(bundle: Bundle, shop: Programme) -> None:
    champion = champion_from(bundle)
    older, younger = ({"store": "online", "age": 40.0 + 18.0 * sign, "tier": "none"} for sign in (1.0, -1.0))
    for context, best in ((older, "discount@email"), (younger, "bogo@on_page")):
        actions = [action_named(a) for a in trials.ACTIONS]
        value = champion.value(shop, shop.goal, allowed=actions, context=context).value
        assert trials.ACTIONS[int(value.argmax())] == best


def test_the_belief_is_the_posterior_of_the_out_of_fold_residual(challenger: Challenger, training: Dataset) -> None:
    """At the mode the gradient vanishes: prior precision times mean equals the design times the residual."""
    belief = base_posterior(Bundle(challenger.manifest, challenger.arrays))
    assert belief.n == len(training)
    encoder = fit_encoder(training.contexts)
    x = encode_all(encoder, training.contexts)
    of = ActionFeatures([action_named(a) for a in training.catalogue], encoder.width)
    design = of.design(training.action, x)
    logged: FloatArray = challenger.chosen.odds[np.arange(len(training)), training.action]
    odds = 1.0 / (1.0 + np.exp(-(logit(logged) + design @ belief.mean)))
    prior = belief.precision - (design * (odds * (1.0 - odds))[:, None]).T @ design
    np.testing.assert_allclose(prior @ belief.mean, design.T @ (training.repurchased - odds), atol=1e-6)
    assert np.abs(belief.mean).max() < 1.0


@pytest.mark.parametrize(
    ("others_may_get", "consent_is_known"),
    [(("control",), False), (("control",), True), (("control", "bogo@on_page"), True)],
)
def test_who_may_get_less_does_not_make_offers_look_good(
    others_may_get: tuple[str, ...], consent_is_known: bool, shop: Programme, tmp_path: Path
) -> None:
    """No offer does anything; who consents buys four times as often as others, who may get less."""
    rng = np.random.default_rng(6)
    rows = []
    for i in range(6_000):
        consents = bool(rng.random() < 0.5)
        allowed = trials.ACTIONS if consents else others_may_get
        chances = tuple(1 / len(allowed) for _ in allowed)
        context = {"age": float(rng.normal(40.0, 12.0))} | ({"consent": float(consents)} if consent_is_known else {})
        decision = trials.decided(f"d-{i}", f"c-{i}", str(rng.choice(allowed)), context, actions=allowed)
        bought = bool(rng.random() < (0.4 if consents else 0.1))
        fate = trials.Fate(bought, bought, False, 50_000_000 * bought)
        rows.append(Rewarded(structs.replace(decision, distribution=chances), trials.reward(decision, fate, shop)))
    home = trials.home(tmp_path / "home", rows)
    data = training_set(home.ledger(), shop)
    built = build_challenger(data, shop, SETTINGS, now=NOW, learners=learners("pooled_sparse"))
    champion = champion_from(home.bundles.write(built.manifest, built.arrays))
    actions = [action_named(a) for a in trials.ACTIONS]
    context = {"age": 40.0, "consent": 1.0}
    odds = champion.value(shop, shop.goal, allowed=actions, context=context).repurchase
    # 800 consenters got each action: three standard errors of a difference are 0.07, before any shrinking.
    np.testing.assert_allclose(odds, 0.4, atol=0.07)
    assert np.abs(odds - odds[0]).max() < 0.07


def test_the_service_writes_down_what_training_needs_to_tell_consent_from_effect(tmp_path: Path) -> None:
    """Nothing has any effect; who may be reached by mail and SMS buys four times as often. Served, then trained on."""
    shop, rng = support.only(Group.RANDOM), np.random.default_rng(7)
    ledger, serving = SqliteLedger.create(tmp_path / "ledger.db", durable=False), Serving(shop, None)
    bought = []
    for i in range(5_000):
        consents, at = bool(rng.random() < 0.5), NOW + i * support.SECOND
        consent = {"email": consents, "sms": consents}
        decide(support.asked(f"d-{i}", f"c-{i}", consent=consent), serving=serving, ledger=ledger, now=at)
        if rng.random() < (0.4 if consents else 0.1):
            bought.append(support.bought(at + support.DAY, f"o-{i}", customer_id=f"c-{i}"))
    end = NOW + 60 * support.DAY
    ledger.record_outcomes(bought, now=end)
    sweep(programme=shop, ledger=ledger, now=end)
    data = training_set(ledger, shop)
    ledger.close()
    built = build_challenger(data, shop, SETTINGS, now=end, learners=learners("pooled_sparse"))
    champion = champion_from(BundleStore(tmp_path).write(built.manifest, built.arrays))
    whole = next(d for d in data.decisions if len(d.allowed) == len(support.ACTIONS))
    actions = [action_named(a) for a in support.ACTIONS]
    odds = champion.value(shop, shop.goal, allowed=actions, context=whole.context).repurchase
    # Some 250 consenters got each action: a standard error of a difference is 0.04, before any shrinking.
    np.testing.assert_allclose(odds, 0.4, atol=0.1)
    assert abs(odds[1:].mean() - odds[0]) < 0.08


def test_the_same_data_and_seed_give_the_same_bundle(
    challenger: Challenger, bundle: Bundle, training: Dataset, shop: Programme, tmp_path: Path
) -> None:
    again = build_challenger(training, shop, SETTINGS, now=NOW, run_id="run-1", learners=learners(*FAST))
    assert again.because == challenger.because
    assert BundleStore(tmp_path).write(again.manifest, again.arrays).version == bundle.version


def test_too_few_decisions_are_refused_with_how_many_it_takes(training: Dataset, shop: Programme) -> None:
    few = training.where(np.arange(len(training)) < FEWEST_DECISIONS - 1)
    with pytest.raises(NotEnoughData, match="at least 500 finished decisions to train on, found 499"):
        build_challenger(few, shop, SETTINGS, now=NOW, learners=learners(*FAST))


def test_customers_of_whom_nothing_is_known_still_get_a_policy(
    training: Dataset, shop: Programme, tmp_path: Path
) -> None:
    """No fact varies: linear learners fall back to averages, causalml's say why they can't."""
    blank = replace(training, decisions=tuple(structs.replace(d, context={}) for d in training.decisions))
    built = build_challenger(blank, shop, SETTINGS, now=NOW)
    failures = {c.name: c.failure for c in built.candidates if c.failure}
    assert set(failures) == {"causalml_t_learner", "causalml_uplift_forest"}
    assert all("one fact that varies" in failure for failure in failures.values())
    champion = champion_from(BundleStore(tmp_path).write(built.manifest, built.arrays))
    actions = [action_named(a) for a in trials.ACTIONS]
    one, two = (champion.value(shop, shop.goal, allowed=actions, context=c).value for c in ({}, {"age": 90.0}))
    np.testing.assert_array_equal(one, two)


def test_steps_are_told(training: Dataset, shop: Programme) -> None:
    told: list[str] = []
    build_challenger(training, shop, SETTINGS, now=NOW, learners=learners("constant"), tell=told.append)
    assert told == ["cross-fitting constant", f"fitting constant on all {len(training):,} rows"]
