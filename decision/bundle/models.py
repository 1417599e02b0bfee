"""Served forms of the offline models: plain arrays in, predictions for every action out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from decision.errors import InvalidBundle
from decision.policies.posterior import sigmoid
from decision.records import Components, FloatArray, IntArray

FOREST_PARTS = ("feature", "threshold", "left", "right", "roots", "leaf")
SHAPE_PARTS = ("centre", "scale", "of", "at", "first", "second")
BOOSTED_PARTS = ("feature", "threshold", "left", "right", "roots", "owner", "leaf")
EFFECT_PARTS = ("control", "effects")
# In standard deviations: one absurd fact must not outweigh everything that is known.
LARGEST_PRODUCT = 5.0
# An effect in percentage points could lead beyond certainty.
SUREST = 1e-4
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
class Shapes:
    """How contexts of D facts become F columns: a 1, the facts, steps, products.

    Facts are standardised with `centre` and `scale` [D]; step s says whether fact `of[s]` is beyond `at[s]`, [S];
    product q is that of the facts `first[q]` and `second[q]`, [Q], kept within `LARGEST_PRODUCT`.
    """

    centre: FloatArray
    scale: FloatArray
    of: IntArray
    at: FloatArray
    first: IntArray
    second: IntArray

    def columns(self, x: FloatArray) -> FloatArray:
        """Return the columns, shape [..., F], of contexts of shape [..., D]."""
        facts = (x - self.centre) / self.scale
        products = facts[..., self.first] * facts[..., self.second]
        products = _within(products, -LARGEST_PRODUCT, LARGEST_PRODUCT)
        return np.concatenate([np.ones((*x.shape[:-1], 1)), facts, x[..., self.of] > self.at, products], axis=-1)


@dataclass(frozen=True, slots=True)
class ShapedOdds:
    """A model that is linear in the columns of `Shapes`: thresholds and interactions, and still one product.

    `coefficients` has shape [K, F], in log-odds.
    """

    shapes: Shapes
    coefficients: FloatArray

    def log_odds(self, x: FloatArray) -> FloatArray:
        """Return log-odds, shape [..., K], for contexts of shape [..., D]."""
        return np.asarray(self.shapes.columns(x) @ self.coefficients.T)

    def predict(self, x: FloatArray) -> FloatArray:
        """Return probabilities, shape [..., K], for contexts of shape [..., D]."""
        return sigmoid(self.log_odds(x))


@dataclass(frozen=True, slots=True)
class BoostedOdds:
    """Trees that add to the log-odds of a shaped model, each for one action.

    N nodes as in `ForestOdds`, without the action in their conditions: a root belongs to the action `owner` [R]
    and adds `leaf` [N] to its log-odds.
    """

    shaped: ShapedOdds
    feature: IntArray
    threshold: FloatArray
    left: IntArray
    right: IntArray
    roots: IntArray
    owner: IntArray
    leaf: FloatArray
    depth: int

    def predict(self, x: FloatArray) -> FloatArray:
        """Return probabilities, shape [K], for a context of shape [D]."""
        start = self.shaped.log_odds(x)
        return sigmoid(start + np.bincount(self.owner, weights=self.leaf[_ends(self, x)], minlength=len(start)))


@dataclass(frozen=True, slots=True)
class EffectOdds:
    """Odds under control plus an effect of each action in percentage points, kept between the edges of certainty.

    `control` [1 + D] are log-odds, `effects` [K, 1 + D] probabilities, the intercept first; control's row is 0.
    """

    control: FloatArray
    effects: FloatArray

    def predict(self, x: FloatArray) -> FloatArray:
        """Return probabilities, shape [..., K], for contexts of shape [..., D]."""
        start = sigmoid(self.control[0] + x @ self.control[1:])[..., None]
        return _within(start + self.effects[:, 0] + x @ self.effects[:, 1:].T, SUREST, 1.0 - SUREST)


@dataclass(frozen=True, slots=True)
class ForestOdds:
    """The average over T trees kept as arrays over all N nodes; a leaf points to itself.

    `feature`, `threshold`, `right` (taken where x > threshold), `left`: [N]; `roots`: [T]; `leaf`: [N, K];
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
        average: FloatArray = self.leaf[_ends(self, x)].mean(axis=0)
        return average


def _within(values: FloatArray, low: float, high: float) -> FloatArray:
    # np.clip takes several times as long over so few numbers.
    return np.asarray(np.minimum(np.maximum(values, low), high))


def _ends(trees: BoostedOdds | ForestOdds, x: FloatArray) -> IntArray:
    """Return the leaf that a context of shape [D] comes to from each root."""
    node = trees.roots
    for _ in range(trees.depth):
        node = np.where(x[trees.feature[node]] > trees.threshold[node], trees.right[node], trees.left[node])
    return node


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
        repurchase = self.repurchase.predict(x).take(index)
        visit = repurchase if self.visit is None else self.visit.predict(x).take(index)
        log_basket = (self.basket[:, 0] + self.basket[:, 1:] @ x).take(index)
        return Components(
            visit=visit,
            repurchase=repurchase,
            basket=_within(np.exp(_within(log_basket, -20.0, 20.0)) * self.smear, *self.basket_range),
            redemption=self.redemption.take(index),
        )


def odds_from(kind: str, name: str, arrays: Arrays) -> Odds:
    """Return the model of one component. Raises `InvalidBundle` when arrays are missing or of an unknown kind."""

    def parts(names: tuple[str, ...]) -> dict[str, np.ndarray]:
        return {part: arrays[f"{name}.{part}"] for part in names}

    def shaped() -> ShapedOdds:
        return ShapedOdds(Shapes(**parts(SHAPE_PARTS)), arrays[f"{name}.coefficients"])

    makers: dict[str, Callable[[], Odds]] = {
        "linear": lambda: LinearOdds(arrays[f"{name}.coefficients"]),
        "shaped": shaped,
        "boosted": lambda: BoostedOdds(shaped(), **parts(BOOSTED_PARTS), depth=int(arrays[f"{name}.depth"])),
        "effects": lambda: EffectOdds(**parts(EFFECT_PARTS)),
        "forest": lambda: ForestOdds(**parts(FOREST_PARTS), depth=int(arrays[f"{name}.depth"])),
    }
    if kind not in makers:
        raise InvalidBundle(f"Expected a model of kind {', '.join(sorted(makers))} for {name}, found {kind!r}.")
    try:
        return makers[kind]()
    except KeyError as missing:
        raise InvalidBundle(f"Expected the array {missing} in the bundle, found none.") from None


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
