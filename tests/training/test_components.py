"""Basket, redemption and visits beside the odds of a repurchase, and what they are worth together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decision.bundle.models import uplift_model_from
from decision.policies.action_features import ActionFeatures
from decision.programme.model import Goal, Programme
from decision.records import Components, FloatArray, action_named
from decision.stages.valuation import worth
from experiments.components import FEWEST_BASKETS, REDEMPTION_PRIOR, ComponentModels, fit_components, values
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from tests import trials


@pytest.fixture(scope="module")
def x(data: Dataset) -> FloatArray:
    return encode_all(fit_encoder(data.contexts), data.contexts)


def features(data: Dataset, x: FloatArray) -> ActionFeatures:
    return ActionFeatures([action_named(a) for a in data.catalogue], x.shape[1])


def fit(data: Dataset, x: FloatArray) -> ComponentModels:
    return fit_components(data, x, features(data, x), seed=1)


@pytest.fixture(scope="module")
def models(data: Dataset, x: FloatArray) -> ComponentModels:
    return fit(data, x)


def predicted(models: ComponentModels, x: FloatArray) -> Components:
    return models.predict(x, np.full((len(x), 3), 0.2))


def test_components_come_for_every_row_and_action(models: ComponentModels, x: FloatArray) -> None:
    found = predicted(models, x[:7])
    for name in ("visit", "repurchase", "basket", "redemption"):
        assert getattr(found, name).shape == (7, 3)
        assert np.isfinite(getattr(found, name)).all()


def test_the_basket_effect_of_an_offer_is_found(models: ComponentModels, x: FloatArray) -> None:
    """Planted: buy-one-get-one adds 0.30 to the log of a basket (0.4 spread, some 200 of each: error 0.04)."""
    basket = predicted(models, x).basket.mean(axis=0)
    assert np.log(basket[2] / basket[0]) == pytest.approx(trials.BOGO_BASKET, abs=0.12)
    assert np.log(basket[1] / basket[0]) == pytest.approx(0.0, abs=0.12)


def test_baskets_are_right_in_money_not_in_logarithms(data: Dataset, models: ComponentModels, x: FloatArray) -> None:
    """The mean of a skewed basket is above the exponential of its mean logarithm: 8 % at a spread of 0.4."""
    bought = data.revenue > 0
    found = predicted(models, x).basket[np.arange(len(data)), data.action][bought].mean()
    assert found == pytest.approx(data.revenue[bought].mean(), rel=0.03)
    assert found > 1.04 * np.exp(np.log(data.revenue[bought]).mean())


def test_a_basket_stays_within_what_was_seen(data: Dataset, models: ComponentModels) -> None:
    absurd = np.full((2, models.basket.shape[1] - 1), [[1e6], [-1e6]])
    found = predicted(models, absurd).basket
    low, high = np.quantile(data.revenue[data.revenue > 0], [0.01, 0.99])
    assert low <= found.min() <= found.max() <= high


def test_few_baskets_give_their_average_for_everybody(data: Dataset, x: FloatArray) -> None:
    few = np.cumsum(data.revenue > 0) < FEWEST_BASKETS
    part = data.where(few)
    found = predicted(fit(part, x[few]), x[:5]).basket
    np.testing.assert_allclose(found, part.revenue[part.revenue > 0].mean())


def test_no_basket_at_all_still_gives_a_model(data: Dataset, x: FloatArray) -> None:
    part = data.where(data.revenue == 0)
    found = predicted(fit(part, x[data.revenue == 0]), x[:5])
    assert np.isfinite(found.basket).all()
    assert not found.redemption.any()


def test_a_repurchase_without_revenue_is_no_basket(data: Dataset, x: FloatArray) -> None:
    """A trial may know that she came back, but not with how much."""
    revenue = np.where(data.action == 0, 0.0, data.revenue)
    found = predicted(fit(replace(data, revenue=revenue), x), x).basket
    assert np.isfinite(found).all()
    assert found.min() > 5.0


def test_redemption_by_hand(data: Dataset, models: ComponentModels) -> None:
    treated = data.action > 0
    overall = data.redeemed[treated].sum() / data.repurchased[treated].sum()
    expected = [0.0]
    for k in (1, 2):
        redeemed, bought = data.redeemed[data.action == k].sum(), data.repurchased[data.action == k].sum()
        expected.append((redeemed + REDEMPTION_PRIOR * overall) / (bought + REDEMPTION_PRIOR))
    np.testing.assert_allclose(models.redemption, expected)
    np.testing.assert_allclose(models.redemption[1:], trials.REDEMPTION[1:], atol=0.1)


def test_redemption_shrinks_towards_the_rate_of_all_offers(data: Dataset, x: FloatArray) -> None:
    """Of an offer that was hardly given, little is known: it redeems like offers do."""
    hardly = (data.action != 2) | (np.cumsum((data.action == 2) & (data.repurchased > 0)) <= 2)
    part = data.where(hardly)
    alone = part.redeemed[part.action == 2].sum() / part.repurchased[part.action == 2].sum()
    overall = part.redeemed[part.action > 0].sum() / part.repurchased[part.action > 0].sum()
    found = fit(part, x[hardly]).redemption[2]
    assert abs(found - overall) < 0.3 * abs(alone - overall)


def test_an_offer_that_was_never_given_redeems_like_the_others(data: Dataset, x: FloatArray) -> None:
    keep = data.action != 2
    found = fit(data.where(keep), x[keep]).redemption
    assert found[2] == pytest.approx(data.redeemed[data.action == 1].sum() / data.repurchased[data.action == 1].sum())


def test_redemption_never_exceeds_one(data: Dataset, x: FloatArray) -> None:
    """Redeemed orders that were paid back are no repurchases: there may be more of the former."""
    found = fit(replace(data, redeemed=np.ones(len(data))), x).redemption
    assert found.max() == 1.0


def test_visits_get_a_model_where_they_were_counted_apart(
    data: Dataset, models: ComponentModels, x: FloatArray
) -> None:
    found = predicted(models, x).visit
    assert 0.0 < found.min() < found.max() < 1.0
    for k in range(3):
        assert found[:, k].mean() == pytest.approx(data.visited[data.action == k].mean(), abs=0.05)
    assert "visit.coefficients" in models.arrays()


def test_where_repurchases_are_the_only_visits_their_odds_are_the_same(data: Dataset, x: FloatArray) -> None:
    models = fit(replace(data, visited=data.repurchased), x)
    found = predicted(models, x[:4])
    assert found.visit is found.repurchase
    assert "visit.coefficients" not in models.arrays()


def test_the_service_predicts_the_same_from_the_arrays(models: ComponentModels, x: FloatArray) -> None:
    odds = np.random.default_rng(1).uniform(-3.0, 0.0, (3, 1 + x.shape[1]))
    arrays = {**models.arrays(), "repurchase.coefficients": odds}
    served = uplift_model_from({"repurchase": "linear", "visit": "linear"}, arrays)
    every = np.arange(3)
    repurchase = np.array([served.predict(row, every).repurchase for row in x[:50]])
    here = models.predict(x[:50], repurchase)
    for name in ("visit", "repurchase", "basket", "redemption"):
        there = np.array([getattr(served.predict(row, every), name) for row in x[:50]])
        np.testing.assert_allclose(getattr(here, name), there, rtol=0, atol=1e-9)


def test_values_by_hand_under_the_goal_of_each_store(data: Dataset, shop: Programme) -> None:
    """Online: margin alone. Munich: 0.50 a visit and 4 a repurchase on top."""
    by_store = [next(i for i, d in enumerate(data.decisions) if d.store == s) for s in ("online", "munich")]
    keep = np.zeros(len(data), dtype=bool)
    keep[by_store] = True
    part = data.where(keep)
    odds, visit, basket = np.full((2, 3), 0.2), np.full((2, 3), 0.5), np.full((2, 3), 60.0)
    redemption = np.broadcast_to([0.0, 0.8, 0.5], (2, 3))
    found = values(shop, part, Components(visit, odds, basket, redemption))
    online = [
        0.2 * 0.5 * 60.0,
        0.2 * (0.5 * 60.0 - 0.8 * 0.10 * 60.0) - 0.05,
        0.2 * (0.5 * 60.0 - 0.5 * 3.00),
    ]
    munich = [value + 0.5 * 0.5 + 4.0 * 0.2 for value in online]
    expected = {"online": online, "munich": munich}
    np.testing.assert_allclose(found, [expected[str(d.store)] for d in part.decisions], rtol=1e-12)


def test_values_are_those_of_the_valuation_row_by_row(data: Dataset, models: ComponentModels, shop: Programme) -> None:
    """Whatever the goal, training prices as the service does."""
    x = encode_all(fit_encoder(data.contexts), data.contexts)[:60]
    part = data.where(np.arange(len(data)) < 60)
    dear = replace(shop, goal=Goal(profit=0.5, revenue=0.1, traffic=0.3, loyalty=2.0))
    components = models.predict(x, np.random.default_rng(2).uniform(0.05, 0.5, (60, 3)))
    found = values(dear, part, components)
    actions = [action_named(a) for a in part.catalogue]
    for i, decision in enumerate(part.decisions):
        row = Components(components.visit[i], components.repurchase[i], components.basket[i], components.redemption[i])
        served = worth(dear, dear.goal_of(decision.store), actions, row).value(row.repurchase)
        np.testing.assert_allclose(found[i], served, rtol=1e-12)


def test_what_is_not_allowed_is_worth_nothing_at_all(data: Dataset, models: ComponentModels, shop: Programme) -> None:
    allowed = data.allowed.copy()
    allowed[::2, 1] = False
    part = replace(data, allowed=allowed)
    x = encode_all(fit_encoder(data.contexts), data.contexts)
    found = values(shop, part, predicted(models, x))
    assert np.isneginf(found[::2, 1]).all()
    assert np.isfinite(found[allowed]).all()


def test_a_store_that_was_dropped_since_has_the_goal_of_the_programme(
    data: Dataset, models: ComponentModels, shop: Programme
) -> None:
    part = data.where(np.array([d.store == "munich" for d in data.decisions]))
    components = predicted(models, np.zeros((len(part), models.basket.shape[1] - 1)))
    without = replace(shop, stores={"online": shop.stores["online"]})
    plain = replace(shop, stores={name: replace(store, goal=shop.goal) for name, store in shop.stores.items()})
    np.testing.assert_array_equal(values(without, part, components), values(plain, part, components))
