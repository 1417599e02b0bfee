"""Who is compared with whom: the champion with all it has learned, the challenger as it was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decision.bundle.store import Bundle, BundleStore, pack
from decision.flow.promotion import promote
from decision.ledger.base import PosteriorRecord
from decision.policies.posterior import Posterior
from decision.serving import action_features, champion_from, posterior_arrays
from decision.stages.context import Encoder
from decision.wiring import Home
from experiments import evaluate as evaluation
from experiments.dataset import evaluation_set
from experiments.evaluate import Evaluation, compare, evaluate
from experiments.off_policy import GateRules
from tests import support, trials

CERTAIN = 1e-4


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A shop in whose past every offer brought customers back; MLflow is not asked."""
    monkeypatch.setattr(evaluation, "_log", lambda *_: None)
    return trials.home(tmp_path / "home", trials.past(3_000, effect=0.0, harm=-1.0).rows)


def trained(store: BundleStore, *, lift: float) -> Bundle:
    """Write a bundle that believes firmly that offers change the log-odds of a repurchase by `lift`."""
    manifest = support.manifest(actions=trials.ACTIONS, exploration=0.1)
    arrays = support.arrays(manifest, spread=0.0)
    arrays["repurchase.coefficients"][:, 0] = [-1.8, lift - 1.8, lift - 1.8]
    return store.write(manifest, arrays | belief_of(manifest, lift=0.0))


def belief_of(manifest: support.Manifest, *, lift: float) -> dict[str, np.ndarray]:
    """Return the belief that offers add `lift` to what the bundle's model says."""
    features = action_features(manifest, Encoder(manifest.columns))
    prior = Posterior.prior(np.full(features.size, CERTAIN))
    mean = np.zeros(features.size)
    mean[1 + features.width : 1 + features.width + features.offers.shape[1]] = lift
    return posterior_arrays(Posterior(mean, prior.precision, 500))


def serves(home: Home, bundle: Bundle, *, has_learned: float) -> bytes:
    """Promote a bundle and give it a belief; return that."""
    ledger, data = home.ledger(), pack(belief_of(bundle.manifest, lift=has_learned))
    ledger.record_posterior(PosteriorRecord(bundle.version, 0, trials.NOW, 500, data))
    promote(
        bundle.version,
        programme=home.programme(),
        bundles=home.bundles,
        ledger=ledger,
        reason="by hand",
        verdict=(),
        now=trials.NOW,
    )
    return data


def against(home: Home, challenger: Bundle, champion: Bundle, belief: bytes | None) -> Evaluation:
    programme = home.programme()
    policies = champion_from(challenger), champion_from(champion, belief)
    return compare(evaluation_set(home.ledger(), programme), programme, *policies, rules=GateRules())


def test_the_champion_is_judged_with_what_it_has_learned(home: Home) -> None:
    """It was shipped to leave everybody alone, and has learned since what the challenger knows: nothing is gained."""
    champion, challenger = trained(home.bundles, lift=-1.0), trained(home.bundles, lift=1.0)
    belief = serves(home, champion, has_learned=2.0)
    found = evaluate(home, challenger.version, now=trials.NOW)
    assert found.values == against(home, challenger, champion, belief).values
    assert not found.verdict.promote
    assert against(home, challenger, champion, None).verdict.promote


def test_what_serves_gains_nothing_over_itself(home: Home) -> None:
    champion = trained(home.bundles, lift=-1.0)
    serves(home, champion, has_learned=2.0)
    found = evaluate(home, None, now=trials.NOW)
    assert found.challenger == found.champion == champion.version
    assert found.verdict.contrast.gain == 0.0
    assert not found.verdict.promote


def test_a_challenger_that_served_before_is_judged_as_it_was_trained(home: Home) -> None:
    """What it learned in service it learned from its judges, too."""
    earlier, champion = trained(home.bundles, lift=-1.0), trained(home.bundles, lift=1.0)
    serves(home, earlier, has_learned=2.0)
    belief = serves(home, champion, has_learned=0.0)
    found = evaluate(home, earlier.version, now=trials.NOW)
    assert found.values == against(home, earlier, champion, belief).values
    assert found.verdict.contrast.gain < 0.0
