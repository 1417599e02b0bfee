"""Served forms of the offline models: plain arrays in, predictions for every action out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from decision.errors import InvalidBundle
from decision.policies.posterior import sigmoid
from decision.records import Components, FloatArray, IntArray

FOREST_PARTS = ("feature", "threshold", "left", "right", "roots", "leaf")
Arrays = Mapping[str, np.ndarray]


class Odds(Protocol):
    """Predicts a probability for every action of the catalogue."""

    def predict(self, x: FloatArray) -> FloatArray:
        """Return probabilities, shape [K], for a context vector of shape [D]."""
        ...


@dataclass(frozen=True, slots=True)
class LinearOdds:
    """sigmoid(intercept + coefficients · x) per action: what any linear learner comes down to.

    `coefficients` has shape [K, D + 1], the intercept first.
    """

    coefficients: FloatArray

    def predict(self, x: FloatArray) -> FloatArray:
        """Return probabilities, shape [K]."""
        return sigmoid(self.coefficients[:, 0] + self.coefficients[:, 1:] @ x)


@dataclass(frozen=True, slots=True)
class ForestOdds:
    """The average over T trees kept as arrays over all N nodes; a leaf points to itself.

    `feature`, `threshold`, `right` (taken where x >= threshold), `left`: [N]; `roots`: [T]; `leaf`: [N, K];
    `depth` is the longest path.
    """

    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    roots: IntArray
    leaf: FloatArray
    depth: int

    def predict(self, x: FloatArray) -> FloatArray:
        """Return probabilities, shape [K]."""
        node = self.roots
        for _ in range(self.depth):
            goes_right = x[self.feature[node]] >= self.threshold[node]
            node = np.where(goes_right, self.right[node], self.left[node])
        average: FloatArray = self.leaf[node].mean(axis=0)
        return average


@dataclass(frozen=True, slots=True)
class UpliftModel:
    """Every component for every action: odds of a visit and a repurchase, basket, redemption.

    `basket` [K, D + 1] gives the logarithm of the basket; `smear` corrects the mean for taking logarithms
    (Duan 1983) and `basket_range` keeps a prediction within what was seen. `redemption` [K] is a rate per action.
    """

    visit: Odds | None
    repurchase: Odds
    basket: FloatArray
    smear: float
    basket_range: tuple[float, float]
    redemption: FloatArray

    def predict(self, x: FloatArray, index: IntArray) -> Components:
        """Return the components of the actions `index` [K'] for a context vector of shape [D]."""
        repurchase = self.repurchase.predict(x)[index]
        visit = repurchase if self.visit is None else self.visit.predict(x)[index]
        log_basket = self.basket[index, 0] + self.basket[index, 1:] @ x
        return Components(
            visit=visit,
            repurchase=repurchase,
            basket=np.clip(np.exp(np.clip(log_basket, -20.0, 20.0)) * self.smear, *self.basket_range),
            redemption=self.redemption[index],
        )


def odds_from(kind: str, name: str, arrays: Arrays) -> Odds:
    """Return the model of one component. Raises `InvalidBundle` when arrays are missing or of an unknown kind."""
    try:
        if kind == "linear":
            return LinearOdds(arrays[f"{name}.coefficients"])
        if kind == "forest":
            parts = {part: arrays[f"{name}.{part}"] for part in FOREST_PARTS}
            return ForestOdds(**parts, depth=int(arrays[f"{name}.depth"]))
    except KeyError as missing:
        raise InvalidBundle(f"Expected the array {missing} in the bundle, found none.") from None
    raise InvalidBundle(f"Expected a model of kind linear or forest for {name}, found {kind!r}.")


def uplift_model_from(heads: Mapping[str, str], arrays: Arrays) -> UpliftModel:
    """Return the uplift model that a bundle's heads and arrays describe. Raises `InvalidBundle`."""
    for name in ("basket.coefficients", "basket.smear", "basket.range", "redemption"):
        if name not in arrays:
            raise InvalidBundle(f"Expected the array {name} in the bundle, found none.")
    if "repurchase" not in heads:
        raise InvalidBundle(f"Expected a model of repurchase in the bundle, found {', '.join(heads) or 'none'}.")
    low, high = (float(edge) for edge in arrays["basket.range"])
    return UpliftModel(
        visit=odds_from(heads["visit"], "visit", arrays) if "visit" in heads else None,
        repurchase=odds_from(heads["repurchase"], "repurchase", arrays),
        basket=arrays["basket.coefficients"],
        smear=float(arrays["basket.smear"]),
        basket_range=(low, high),
        redemption=arrays["redemption"],
    )
