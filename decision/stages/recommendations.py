"""Which products for this customer, now? What goes with a purchase, what fits instead of a return, what wins back.

The model is Σ over her baskets of decay^age x the neighbours' weights (item-item nearest neighbours: Sarwar et al.
2001), plus `again` for what she bought before. Exclusions come after the scores, so that each can be counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decision.bundle.neighbours import NOBODY, Neighbours
from decision.records import BoolArray, FloatArray, IntArray, Recommendation, Recommended
from decision.stages.baskets import History

MOST = 20
RETURN_REASONS = ("size", "quality", "wrong_item", "other")
# A customer who sent goods back still wants what she kept to be matched, but first something in place of them.
KEPT_SHARE = 0.1
# Another size of what did not fit comes before any other product.
SAME_FAMILY = 10.0
DIGITS = 6


class Purpose(StrEnum):
    """What recommendations are for."""

    PURCHASE = "purchase"
    RETURN = "return"
    WIN_BACK = "win_back"


class Why(StrEnum):
    """Why a product is recommended, why one was withheld, or why there are none: the codes of the API."""

    BOUGHT_TOGETHER = "bought_together"
    BOUGHT_AGAIN = "bought_again"
    INSTEAD_OF = "instead_of"
    OTHER_SIZE = "other_size"
    POPULAR = "popular"
    JUST_BOUGHT = "just_bought"
    DURABLE = "durable"
    RETURNED = "returned"
    OUT_OF_STOCK = "out_of_stock"
    PROBLEM = "complaint_problem"
    EXCLUDED = "excluded_product"
    OK = "ok"
    FEWER = "fewer_than_asked"
    NOT_TRAINED = "not_trained"
    OPTED_OUT = "opted_out"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked: `products` of the order that was just placed, or that just came back for `return_reason`."""

    purpose: Purpose
    n: int
    products: tuple[str, ...] = ()
    return_reason: str | None = None


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Products that nobody is recommended, whoever she is."""

    out_of_stock: frozenset[str] = frozenset()
    problems: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()


def nothing(code: Why, detail: str) -> Recommended:
    """Return an empty list and its reason."""
    return Recommended((), None, code.value, detail)


def recommend(wish: Wish, history: History, shelf: Neighbours, held_back: HeldBack) -> Recommended:
    """Return up to `wish.n` products, best first; equal scores in the order of the catalogue."""
    pulls = _pulls(wish, history, shelf)
    # Only what comes into question is looked at: a catalogue may hold a hundred thousand products.
    places, at = np.unique(np.concatenate([pulls.to, shelf.popular]), return_inverse=True)
    drawn = at[: len(pulls.to)]
    scores = np.bincount(drawn, weights=pulls.weight, minlength=len(places)).astype(np.float64)
    barred = _barred(places, wish, history, shelf, held_back)
    allowed = ~np.logical_or.reduce(list(barred.values()))
    best = _best(np.where(allowed, scores, 0.0), wish.n)
    found = [_one(int(places[c]), float(scores[c]), pulls, shelf) for c in best]
    if len(found) < wish.n:
        sellers = [c for c in at[len(pulls.to) :].tolist() if allowed[c] and scores[c] <= 0][: wish.n - len(found)]
        found += [Recommendation(shelf.products[places[c]], 0.0, Why.POPULAR.value) for c in sellers]
    withheld = {why.value: int((mask & (scores > 0)).sum()) for why, mask in barred.items()}
    enough = len(found) == wish.n
    return Recommended(
        products=tuple(found),
        version=shelf.manifest.version,
        code=(Why.OK if enough else Why.FEWER).value,
        detail="" if enough else f"{len(found)} of {wish.n} are left of {len(shelf.products)} products",
        withheld={why: n for why, n in withheld.items() if n},
    )


@dataclass(frozen=True, slots=True)
class _Pulls:
    """P reasons for a product: the place it leads `to`, its weight, where it comes from (`by`), and the code."""

    to: IntArray
    weight: FloatArray
    by: IntArray
    why: tuple[tuple[Why, int], ...]

    def strongest(self, place: int) -> tuple[Why, int]:
        """Return the code of the strongest reason for a product, and the product it comes from."""
        strongest = int(np.where(self.to == place, self.weight, -1.0).argmax())
        at = 0
        for why, length in self.why:
            at += length
            if strongest < at:
                return why, int(self.by[strongest])
        return Why.POPULAR, NOBODY


def _pulls(wish: Wish, history: History, shelf: Neighbours) -> _Pulls:
    decay, parts = shelf.manifest.decay, []
    fresh = _places(wish.products, shelf)
    if wish.purpose is Purpose.RETURN:
        parts.append((Why.INSTEAD_OF, *_instead(fresh, wish.return_reason, shelf)))
        if wish.return_reason == "size":
            parts.append((Why.OTHER_SIZE, *_other_sizes(fresh, shelf)))
    first = 0 if wish.purpose is Purpose.WIN_BACK else 1
    share = KEPT_SHARE if wish.purpose is Purpose.RETURN else 1.0
    if wish.purpose is Purpose.PURCHASE:
        parts.append((Why.BOUGHT_TOGETHER, *_together(fresh, np.ones(len(fresh)), shelf)))
    gone = _sent_back(wish, history)
    kept = [(_places([p for p in basket if p not in gone], shelf), age) for age, basket in enumerate(history.baskets)]
    weights = [np.full(len(places), share * decay ** (age + first)) for places, age in kept]
    if kept:
        places, weight = np.concatenate([places for places, _ in kept]), np.concatenate(weights)
        parts.append((Why.BOUGHT_TOGETHER, *_together(places, weight, shelf)))
        parts.append((Why.BOUGHT_AGAIN, places, weight * shelf.again[places], places))
    if not parts:
        return _Pulls(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64), ())
    return _Pulls(
        to=np.concatenate([to for _, to, _, _ in parts]),
        weight=np.concatenate([weight for _, _, weight, _ in parts]),
        by=np.concatenate([by for _, _, _, by in parts]),
        why=tuple((why, len(to)) for why, to, _, _ in parts),
    )


def _together(places: IntArray, weight: FloatArray, shelf: Neighbours) -> tuple[IntArray, FloatArray, IntArray]:
    return _spread(shelf.together[places], shelf.together_weight[places] * weight[:, None], places)


def _spread(
    to: NDArray[np.int32], weight: NDArray[np.floating[Any]], places: IntArray
) -> tuple[IntArray, FloatArray, IntArray]:
    by = np.repeat(places, to.shape[1])
    known = to.ravel() != NOBODY
    return to.ravel()[known].astype(np.int64), weight.ravel()[known].astype(np.float64), by[known]


def _instead(places: IntArray, reason: str | None, shelf: Neighbours) -> tuple[IntArray, FloatArray, IntArray]:
    """Return what stands in for returned goods; where they disappointed, what comes back less often counts more."""
    to, weight = shelf.instead[places], shelf.instead_weight[places].astype(np.float64)
    if reason in ("size", "quality"):
        weight = weight * (1.0 - shelf.return_rate[to])
    return _spread(to, weight, places)


def _other_sizes(places: IntArray, shelf: Neighbours) -> tuple[IntArray, FloatArray, IntArray]:
    found = [(place, np.flatnonzero(shelf.family == shelf.family[place])) for place in places.tolist()]
    of_family = [(place, family) for place, family in found if shelf.family[place] != NOBODY]
    to = np.concatenate([np.zeros(0, np.int64), *(family for _, family in of_family)])
    by = np.concatenate([np.zeros(0, np.int64), *(np.full(len(family), place) for place, family in of_family)])
    in_sizes = places[shelf.variants[places] > 1]
    to, by = np.concatenate([to, in_sizes]), np.concatenate([by, in_sizes])
    return to, SAME_FAMILY * (1.0 - shelf.return_rate[to]), by


def _barred(
    places: IntArray, wish: Wish, history: History, shelf: Neighbours, held_back: HeldBack
) -> dict[Why, BoolArray]:
    """Return for each reason which of the candidates at `places` [M] it holds back."""
    is_return = wish.purpose is Purpose.RETURN
    just = set() if is_return else set(wish.products)
    returned = _sent_back(wish, history)
    owned = {product for basket in history.baskets for product in basket} - returned
    barred = {
        Why.JUST_BOUGHT: _among(places, just, shelf),
        Why.DURABLE: _durable(places, _places(owned | just, shelf), shelf),
        Why.RETURNED: _among(places, returned, shelf),
        Why.OUT_OF_STOCK: _among(places, held_back.out_of_stock, shelf),
        Why.PROBLEM: _among(places, held_back.problems, shelf),
        Why.EXCLUDED: _among(places, held_back.excluded, shelf),
    }
    if is_return and wish.return_reason == "quality":
        families = shelf.family[_places(wish.products, shelf)]
        barred[Why.RETURNED] |= np.isin(shelf.family[places], families[families != NOBODY])
    if is_return and wish.return_reason == "size":
        # The same article in another size is what fits better.
        barred[Why.RETURNED] &= ~np.isin(places, _in_sizes(wish.products, shelf))
    return barred


def _sent_back(wish: Wish, history: History) -> frozenset[str]:
    """Return all that she has sent back; the event of the present return may not have come yet."""
    return history.returned.union(wish.products) if wish.purpose is Purpose.RETURN else history.returned


def _in_sizes(products: Iterable[str], shelf: Neighbours) -> IntArray:
    places = _places(products, shelf)
    return places[shelf.variants[places] > 1]


def _durable(places: IntArray, owned: IntArray, shelf: Neighbours) -> BoolArray:
    """Return which candidates [M] she has no more need of: durable ones that she owns, and their like."""
    categories = shelf.category[owned]
    categories = categories[categories != NOBODY]
    settled = categories[shelf.durable_category[categories]]
    return np.isin(places, owned[shelf.durable[owned]]) | np.isin(shelf.category[places], settled)


def _among(places: IntArray, products: Collection[str], shelf: Neighbours) -> BoolArray:
    if len(products) > len(places):
        return np.array([shelf.products[place] in products for place in places.tolist()], dtype=np.bool_)
    return np.isin(places, _places(products, shelf))


def _places(products: Iterable[str], shelf: Neighbours) -> IntArray:
    found = [shelf.place[product] for product in products if product in shelf.place]
    return np.array(found, dtype=np.int64)


def _best(scores: FloatArray, n: int) -> Sequence[int]:
    """Return the numbers of the `n` highest scores above 0."""
    candidates = np.flatnonzero(scores > 0)
    order = np.argsort(-scores[candidates].round(DIGITS), kind="stable")[:n]
    return [int(candidate) for candidate in candidates[order]]


def _one(place: int, score: float, pulls: _Pulls, shelf: Neighbours) -> Recommendation:
    why, by = pulls.strongest(place)
    because = None if by in (NOBODY, place) else shelf.products[by]
    return Recommendation(shelf.products[place], round(score, DIGITS), why.value, because)
