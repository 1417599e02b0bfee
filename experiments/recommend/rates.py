"""How often a product is bought again, and how often it comes back: shares that few sales can't swing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import BoolArray, FloatArray, IntArray
from experiments.recommend.purchases import DAY_US, Purchases, distinct

REBUY_DAYS = 180
# Fewer buyers than this whose time is over say nothing of a shop's habits.
FEWEST_BUYERS = 50


@dataclass(frozen=True, slots=True)
class Rebuys:
    """Of those who bought a product [N] or in a category [C], how many bought it again within `days`.

    Only first purchases that lie `days` before the end count, `buyers`. `share` is drawn to the shop's own by a prior;
    it is NaN where the shop is too young or too small to tell.
    """

    days: int
    share: FloatArray
    buyers: IntArray
    category_share: FloatArray

    def durable(self, below: float) -> BoolArray:
        """Return which products [N] are seldom bought again; none where nobody can tell."""
        return np.asarray(self.share < below)

    def durable_category(self, below: float) -> BoolArray:
        """Return which categories [C] are."""
        return np.asarray(self.category_share < below)


def rebuys(purchases: Purchases, *, prior: float) -> Rebuys:
    """Return how often products and categories are bought again, over half a year or half of what is known."""
    at = purchases.at[purchases.basket]
    span = int((at.max() - at.min()) // DAY_US)
    days = min(REBUY_DAYS, span // 2)
    share, buyers = _again(purchases, purchases.product, len(purchases.products), days, prior)
    in_category = purchases.category[purchases.product]
    known = in_category >= 0
    category_share, _ = _again(purchases, np.where(known, in_category, -1), len(purchases.categories), days, prior)
    return Rebuys(days, share, buyers, category_share)


def _again(purchases: Purchases, of: IntArray, n: int, days: int, prior: float) -> tuple[FloatArray, IntArray]:
    known = of >= 0
    # Baskets stand in the order of time: so do the events of a customer with a product.
    who, basket = distinct(purchases.of_line[known] * n + of[known], purchases.basket[known], len(purchases.customer))
    at = purchases.at[basket]
    first = np.ones(len(who), dtype=np.bool_)
    first[1:] = who[1:] != who[:-1]
    followed = np.zeros(len(who), dtype=np.bool_)
    followed[:-1] = ~first[1:] & (at[1:] - at[:-1] <= days * DAY_US)
    over = first & (at <= purchases.at[purchases.basket].max() - days * DAY_US)
    buyers = np.bincount(who[over] % n, minlength=n) if n else np.zeros(0, dtype=np.int64)
    again = np.bincount(who[over & followed] % n, minlength=n) if n else np.zeros(0, dtype=np.int64)
    if buyers.sum() < FEWEST_BUYERS or days < 1:
        return np.full(n, np.nan), buyers
    return shrunken(again, buyers, prior=prior), buyers


def shrunken(successes: IntArray, trials: IntArray, *, prior: float) -> FloatArray:
    """Return shares [N] with the weight of `prior` trials at the share over all."""
    overall = successes.sum() / max(int(trials.sum()), 1)
    return np.asarray((successes + prior * overall) / (trials + prior))


def return_rates(purchases: Purchases, *, prior: float) -> FloatArray:
    """Return the share of each product's buyers [N] who sent it back."""
    n = len(purchases.products)
    _, bought = distinct(purchases.of_line, purchases.product, n)
    _, back = distinct(purchases.back_customer, purchases.back_product, n)
    buyers, returners = np.bincount(bought, minlength=n), np.bincount(back, minlength=n)
    return shrunken(np.minimum(returners, buyers), buyers, prior=prior)
