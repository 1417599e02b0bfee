"""How sure the basket and the rates of redemption are: their posteriors under the priors that they are fitted with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.policies.action_features import ActionFeatures
from decision.records import FloatArray
from experiments.components import (
    BASKET_BY_FACT,
    BASKET_BY_OFFER,
    BASKET_VARIANCE,
    FEWEST_BASKETS,
    REDEMPTION_PRIOR,
    ComponentModels,
)
from experiments.dataset import Dataset


@dataclass(frozen=True, slots=True)
class ComponentUncertainty:
    """`redemption` [K] is the standard deviation of a rate (of its beta posterior).

    `offers` [K, O] says which offer an action is; `covariance` [1 + O + D, 1 + O + D] is that of the weights of the log
    basket on a 1, the offers and the facts (of the ridge's posterior).
    """

    offers: FloatArray
    covariance: FloatArray
    redemption: FloatArray

    def basket(self, x: FloatArray) -> FloatArray:
        """Return the standard deviation of the log basket, [n, K], for contexts `x` [n, D]."""
        return np.stack([_deviation(self._design(x, k), self.covariance) for k in range(len(self.offers))], axis=1)

    def basket_gain(self, x: FloatArray, slope: FloatArray) -> FloatArray:
        """Return the standard deviation of the gain over control that the baskets leave unsure, [n, K].

        `slope` [n, K] is by how much an action's value moves with its log basket. What is unsure of a customer's basket
        under all actions alike cancels where the slopes are alike.
        """
        control = self._design(x, 0) * slope[:, :1]
        own = (self._design(x, k) * slope[:, [k]] - control for k in range(len(self.offers)))
        return np.stack([_deviation(design, self.covariance) for design in own], axis=1)

    def _design(self, x: FloatArray, k: int) -> FloatArray:
        return np.hstack([np.ones((len(x), 1)), np.tile(self.offers[k], (len(x), 1)), x])


def component_uncertainty(
    data: Dataset, x: FloatArray, features: ActionFeatures, models: ComponentModels
) -> ComponentUncertainty:
    """Return the uncertainty of `models`, which were fitted on a data set with encoded contexts `x` [n, D]."""
    rates = models.redemption
    bought = np.array([data.repurchased[(features.offers[data.action] @ own) > 0].sum() for own in features.offers])
    redemption = np.sqrt(rates * (1.0 - rates) / (bought + REDEMPTION_PRIOR + 1.0))
    return ComponentUncertainty(features.offers, _basket(data, x, features), redemption)


def _basket(data: Dataset, x: FloatArray, features: ActionFeatures) -> FloatArray:
    offers, seen = features.offers[data.action], (data.repurchased > 0) & (data.revenue > 0)
    design = np.hstack([np.ones((len(x), 1)), offers, x])[seen]
    if len(design) < FEWEST_BASKETS:
        # The average of a few stands for all: only that average is unsure.
        found = np.zeros((design.shape[1], design.shape[1]))
        found[0, 0] = BASKET_VARIANCE / max(len(design), 1)
        return found
    scale = np.concatenate([[np.inf], np.full(offers.shape[1], BASKET_BY_OFFER), np.full(x.shape[1], BASKET_BY_FACT)])
    return np.asarray(np.linalg.inv(design.T @ design / BASKET_VARIANCE + np.diag(scale**-2.0)), dtype=float)


def _deviation(design: FloatArray, covariance: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.maximum(((design @ covariance) * design).sum(axis=1), 0.0)))
