"""Where offers do nothing or harm, what is served is no worse than the best constant action by more than noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import Components, FloatArray, action_named
from experiments.components import fit_components, values, worths
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from experiments.learners import LEARNERS
from experiments.learners.base import Rows
from experiments.selection import choose, cross_fit
from tests import trials

LEARNED = {name: LEARNERS[name] for name in ("constant", "pooled_linear", "pooled_sparse")}
SEEDS = (201, 202, 203, 204)


@pytest.fixture(autouse=True)
def same_baskets(monkeypatch: pytest.MonkeyPatch) -> None:
    """No offer makes baskets larger, so that treating anybody only costs."""
    monkeypatch.setattr(trials, "BOGO_BASKET", 0.0)


def true_values(data: Dataset, shop: Programme, odds: FloatArray) -> FloatArray:
    gold = np.array([context["tier"] == "gold" for context in data.contexts])
    # The mean of a log-normal of 0.4.
    basket = np.broadcast_to(np.exp(3.9 + 0.2 * gold + 0.08)[:, None], odds.shape)
    visit = odds + (1.0 - odds) * np.array([0.15, 0.30, 0.15])
    redemption = np.broadcast_to(np.array(trials.REDEMPTION), odds.shape)
    return worths(shop, data, Components(visit, odds, basket, redemption)).value(odds)


def losses(folder: Path, shop: Programme, n: int, harm: float) -> tuple[FloatArray, float]:
    """Return what is lost against the best constant action by seed, and the noise: the error of an arm's lead."""
    found, noise = [], []
    for seed in SEEDS:
        past = trials.past(n, seed=seed, effect=0.0, harm=harm)
        data = trials.dataset(folder / str(seed), past.rows)
        encoder = fit_encoder(data.contexts)
        x = encode_all(encoder, data.contexts)
        features = ActionFeatures([action_named(a) for a in data.catalogue], encoder.width)
        candidates = cross_fit(data, x, features, shop, folds=3, repeats=1, seed=seed, learners=LEARNED)
        fitted = LEARNED[choose(candidates)[0].name].fit(Rows(x, data.action, data.repurchased, features), seed=seed)
        models = fit_components(data, x, features, seed=seed)
        given = values(shop, data, models.predict(x, fitted.predict(x, in_sample=True))).argmax(axis=1)
        truth = true_values(data, shop, past.truth)
        found.append(truth.mean(axis=0).max() - truth[np.arange(n), given].mean())
        noise.append(np.sqrt(sum(data.value[data.action == k].var() / (data.action == k).sum() for k in (0, 1))))
    return np.array(found), float(np.mean(noise))


@pytest.mark.parametrize(
    ("n", "harm"), [(600, 0.0), (600, 0.5), (2_500, 0.0)], ids=["noise", "harmful", "nothing in more rows"]
)
def test_no_more_than_noise_is_lost(tmp_path: Path, shop: Programme, n: int, harm: float) -> None:
    lost, noise = losses(tmp_path, shop, n, harm)
    assert lost.mean() < noise
    assert lost.max() < 3.0 * noise


def test_what_clearly_harms_is_given_to_nobody(tmp_path: Path, shop: Programme) -> None:
    lost, _ = losses(tmp_path, shop, 2_500, 0.8)
    assert lost.max() < 0.01
