"""The components beside the odds of a repurchase: basket, redemption, visits; and what they are worth together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.bundle.models import LinearOdds
from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import Components, FloatArray, action_named
from decision.stages.valuation import Worth, worth
from experiments.dataset import Dataset
from experiments.learners.base import Rows
from experiments.learners.pooled_linear import PooledLinear

FEWEST_BASKETS = 30
# A redemption rate starts from this many pseudo-repurchases at the rate of all offers together.
REDEMPTION_PRIOR = 10.0
# The variance of a log basket is near 0.4; offers move it by a tenth or two, a standardised fact by less.
BASKET_VARIANCE, BASKET_BY_OFFER, BASKET_BY_FACT = 0.4, 0.25, 0.15


@dataclass(frozen=True, slots=True)
class ComponentModels:
    """`basket` [K, D + 1] on the scale of logarithms, `redemption` [K], `visit` [K, D + 1] log-odds or None."""

    basket: FloatArray
    smear: float
    basket_range: tuple[float, float]
    redemption: FloatArray
    visit: FloatArray | None

    def predict(self, x: FloatArray, repurchase: FloatArray) -> Components:
        """Return the components of n contexts `x` [n, D], given odds `repurchase` [n, K]; arrays [n, K]."""
        log_basket = self.basket[:, 0] + x @ self.basket[:, 1:].T
        visit = repurchase
        if self.visit is not None:
            visit = np.array([LinearOdds(self.visit).predict(row) for row in x])
        return Components(
            visit=visit,
            repurchase=repurchase,
            basket=np.clip(np.exp(np.clip(log_basket, -20.0, 20.0)) * self.smear, *self.basket_range),
            redemption=np.broadcast_to(self.redemption, repurchase.shape),
        )

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return the arrays under the names that a bundle uses."""
        named = {
            "basket.coefficients": self.basket,
            "basket.smear": np.array(self.smear),
            "basket.range": np.array(self.basket_range),
            "redemption": self.redemption,
        }
        return named if self.visit is None else {**named, "visit.coefficients": self.visit}


def fit_components(data: Dataset, x: FloatArray, features: ActionFeatures, *, seed: int) -> ComponentModels:
    """Return the component models of a data set with encoded contexts `x` [n, D].

    Visits get a model of their own only where they were observed apart from repurchases.
    """
    visit = None
    if not np.array_equal(data.visited, data.repurchased) and 10 < data.visited.sum() < len(data) - 10:
        fitted = PooledLinear().fit(Rows(x, data.action, data.visited, features), seed=seed)
        visit = fitted.export().arrays["coefficients"]
    basket, smear, basket_range = _fit_basket(data, x, features)
    return ComponentModels(basket, smear, basket_range, _redemption(data, features), visit)


def _fit_basket(
    data: Dataset, x: FloatArray, features: ActionFeatures
) -> tuple[FloatArray, float, tuple[float, float]]:
    bought = (data.repurchased > 0) & (data.revenue > 0)
    k, d = len(features.offers), x.shape[1]
    if bought.sum() < FEWEST_BASKETS:
        average = float(data.revenue[bought].mean()) if bought.any() else 1.0
        return np.hstack([np.full((k, 1), np.log(average)), np.zeros((k, d))]), 1.0, (average, average)
    from sklearn.linear_model import Ridge

    offers = features.offers[data.action[bought]]
    log_revenue = np.log(data.revenue[bought])
    scale = np.concatenate([np.full(offers.shape[1], BASKET_BY_OFFER), np.full(d, BASKET_BY_FACT)])
    design = np.hstack([offers, x[bought]]) * scale
    model = Ridge(alpha=BASKET_VARIANCE).fit(design, log_revenue)
    weights = model.coef_ * scale
    by_action = features.offers @ weights[: offers.shape[1]] + model.intercept_
    coefficients = np.hstack([by_action[:, None], np.tile(weights[offers.shape[1] :], (k, 1))])
    smear = float(np.exp(log_revenue - model.predict(design)).mean())
    low, high = np.quantile(data.revenue[bought], [0.01, 0.99])
    return coefficients, smear, (float(low), float(high))


def _redemption(data: Dataset, features: ActionFeatures) -> FloatArray:
    treated = features.offers[data.action].any(axis=1)
    overall = data.redeemed[treated].sum() / max(data.repurchased[treated].sum(), 1.0)
    rates = np.zeros(len(features.offers))
    for offer in features.offers.T:
        given = offer[data.action] > 0
        redeemed, repurchased = data.redeemed[given].sum(), data.repurchased[given].sum()
        rates[offer > 0] = (redeemed + REDEMPTION_PRIOR * overall) / (repurchased + REDEMPTION_PRIOR)
    return np.minimum(rates, 1.0)


def values(programme: Programme, data: Dataset, components: Components) -> FloatArray:
    """Return the value of every action for every decision under its store's goal, [n, K]; -inf where not allowed."""
    result = worths(programme, data, components).value(components.repurchase)
    result[~data.allowed] = -np.inf
    return result


def worths(programme: Programme, data: Dataset, components: Components) -> Worth:
    """Return what repurchases under each action are worth in every decision under its store's goal, arrays [n, K]."""
    actions = [action_named(action_id) for action_id in data.catalogue]
    fixed, per_repurchase = np.empty(data.allowed.shape), np.empty(data.allowed.shape)
    goals = [programme.goal_of(d.store if d.store in programme.stores else None) for d in data.decisions]
    for goal in set(goals):
        rows = np.array([g == goal for g in goals])
        part = Components(
            components.visit[rows], components.repurchase[rows], components.basket[rows], components.redemption[rows]
        )
        found = worth(programme, goal, actions, part)
        fixed[rows], per_repurchase[rows] = found.fixed, found.per_repurchase
    return Worth(fixed, per_repurchase)
