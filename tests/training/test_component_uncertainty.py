"""Baskets and rates of redemption: as sure as their posteriors say, and surer with more rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from decision.policies.action_features import ActionFeatures
from decision.records import FloatArray, action_named
from experiments.component_uncertainty import ComponentUncertainty, component_uncertainty
from experiments.components import REDEMPTION_PRIOR, fit_components
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from tests import trials


def fitted(data: Dataset) -> tuple[ComponentUncertainty, FloatArray, FloatArray, FloatArray]:
    """Return the uncertainty, contexts, the predicted log basket [n, K] without smear, and the rates."""
    encoder = fit_encoder(data.contexts)
    x = encode_all(encoder, data.contexts)
    features = ActionFeatures([action_named(a) for a in data.catalogue], encoder.width)
    models = fit_components(data, x, features, seed=1)
    log_basket = models.basket[:, 0] + x @ models.basket[:, 1:].T
    return component_uncertainty(data, x, features, models), x, log_basket, models.redemption


def test_a_log_basket_lies_within_its_interval(tmp_path: Path) -> None:
    """The simulated baskets are less noisy than the variance that the ridge takes: intervals are a little long."""
    inside = []
    for seed in range(301, 304):
        data = trials.dataset(tmp_path / str(seed), trials.past(1_500, seed=seed).rows)
        found, x, log_basket, _ = fitted(data)
        gold = np.array([context["tier"] == "gold" for context in data.contexts])
        truth = 3.9 + 0.2 * gold[:, None] + np.array([0.0, 0.0, trials.BOGO_BASKET])
        inside.append((np.abs(log_basket - truth) < 1.96 * found.basket(x)).mean())
    assert np.mean(inside) > 0.9


def test_a_rate_of_redemption_has_the_deviation_of_its_beta_posterior(data: Dataset) -> None:
    found, _, _, rates = fitted(data)
    assert found.redemption[0] == 0.0
    for k in (1, 2):
        bought = data.repurchased[data.action == k].sum()
        alpha, beta = rates[k] * (bought + REDEMPTION_PRIOR), (1.0 - rates[k]) * (bought + REDEMPTION_PRIOR)
        variance = alpha * beta / ((alpha + beta) ** 2 * (alpha + beta + 1.0))
        assert found.redemption[k] == pytest.approx(np.sqrt(variance))
        assert abs(rates[k] - trials.REDEMPTION[k]) < 3.0 * found.redemption[k]


def test_more_rows_make_it_surer_and_few_baskets_leave_it_finite(data: Dataset) -> None:
    few, many = (fitted(part) for part in (data.where(np.arange(len(data)) < 700), data))
    assert few[0].basket(few[1][:50]).mean() > 1.5 * many[0].basket(many[1][:50]).mean()
    none = replace(data, repurchased=np.zeros(len(data)), revenue=np.zeros(len(data)))
    assert np.isfinite(fitted(none)[0].basket(many[1][:5])).all()


def test_what_all_actions_share_cancels_in_a_gain(data: Dataset) -> None:
    found, x, _, _ = fitted(data)
    alike = found.basket_gain(x[:20], np.full((20, 3), 10.0))
    assert not alike[:, 0].any()
    apart = np.hypot(found.basket(x[:20])[:, [0]], found.basket(x[:20])) * 10.0
    assert (alike[:, 1:] < apart[:, 1:]).all()
