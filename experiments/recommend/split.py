"""What is known and what is to be found: each customer's last basket, or her next after a date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import BoolArray, IntArray
from experiments.recommend.purchases import DAY_US, Purchases

NEXT_DAYS = 90


@dataclass(frozen=True, slots=True)
class Split:
    """`known` [B] marks the baskets that may be learned from, `target` [U] is the basket of each customer judged on.

    She has a basket before it that is known. `age` [B] counts her known baskets back from the newest, which is 0.
    """

    known: BoolArray
    target: IntArray
    age: IntArray


def last_baskets(purchases: Purchases, *, back: int = 0) -> Split:
    """Hold out the last basket of everybody who has an earlier one; the rest is known, single baskets included.

    With `back` 1, as if nobody's last basket had happened yet: for choosing settings before the judgement.
    """
    age = _from_the_end(purchases.customer)
    single = np.bincount(purchases.customer)[purchases.customer] == 1
    known = (age > back) | single
    earlier = np.bincount(purchases.customer[age > back], minlength=len(purchases.customers)) > 0
    target = np.flatnonzero((age == back) & earlier[purchases.customer])
    return Split(known, target, np.maximum(age - back - 1, 0))


def next_baskets(purchases: Purchases, *, cut: int) -> Split:
    """Hold out everything from a moment on: the target is a customer's first basket in the 90 days after it."""
    known = purchases.at < cut
    soon = ~known & (purchases.at < cut + NEXT_DAYS * DAY_US)
    met = np.bincount(purchases.customer[known], minlength=len(purchases.customers)) > 0
    candidates = np.flatnonzero(soon & met[purchases.customer])
    _, first = np.unique(purchases.customer[candidates], return_index=True)
    later = np.bincount(purchases.customer[~known], minlength=len(purchases.customers))
    age = _from_the_end(purchases.customer) - later[purchases.customer]
    return Split(known, candidates[first], np.maximum(age, 0))


def sample(split: Split, most: int, *, seed: int) -> Split:
    """Return the split with at most so many customers, drawn at random."""
    if len(split.target) <= most:
        return split
    chosen = np.random.default_rng(seed).choice(split.target, size=most, replace=False)
    return Split(split.known, np.sort(chosen), split.age)


def _from_the_end(customer: IntArray) -> IntArray:
    """Return for baskets in the order of customer and time how many of hers come after."""
    ends = np.cumsum(np.bincount(customer))
    return np.asarray(ends[customer] - 1 - np.arange(len(customer)))
