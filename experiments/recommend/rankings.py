"""What is judged: a way to score all products for customers, from what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from decision.records import BoolArray, FloatArray, IntArray
from experiments.recommend.model import Model, matrix
from experiments.recommend.purchases import Purchases
from experiments.recommend.split import Split


@dataclass(frozen=True, slots=True)
class Asked:
    """U customers and what is known of them, as sparse [U, N]: how often each bought what, and her newest basket.

    `baskets` holds a cell for each product of each basket with its age.
    """

    often: Any
    newest: Any
    lines: tuple[IntArray, IntArray, IntArray]

    def aged(self, decay: float) -> Any:
        """Return what she bought, [U, N], where a basket weighs `decay` times the one after it."""
        rows, columns, age = self.lines
        return matrix(rows, columns, self.often.shape, np.power(decay, age, dtype=np.float64))

    @property
    def owned(self) -> BoolArray:
        """Return which products each has bought, [U, N]."""
        return np.asarray(self.often.toarray() > 0)


Scores = Callable[[Asked], FloatArray]


def asked(purchases: Purchases, split: Split, users: IntArray) -> Asked:
    """Return what is known of some customers."""
    row = np.full(len(purchases.customers), -1)
    row[users] = np.arange(len(users))
    known = split.known[purchases.basket] & (row[purchases.of_line] >= 0)
    rows, columns = row[purchases.of_line[known]], purchases.product[known]
    age = split.age[purchases.basket[known]]
    shape = (len(users), len(purchases.products))
    new = age == 0
    return Asked(matrix(rows, columns, shape), matrix(rows[new], columns[new], shape), (rows, columns, age))


def simple_rules(known: Purchases) -> Mapping[str, Scores]:
    """Return what has to be beaten: best sellers, plain co-occurrence in baskets, and what she bought most often."""
    n = len(known.products)
    _, basket = np.unique(known.basket, return_inverse=True)
    held = matrix(basket, known.product, (int(basket.max()) + 1, n))
    popularity = np.asarray(held.sum(axis=0)).ravel()
    together = (held.T @ held).tocsr()

    def popular(of: Asked) -> FloatArray:
        return np.tile(popularity, (of.often.shape[0], 1))

    def beside_the_newest(of: Asked) -> FloatArray:
        return np.asarray((of.newest @ together).toarray())

    def beside_all(of: Asked) -> FloatArray:
        return np.asarray(((of.often > 0).astype(np.float64) @ together).toarray())

    def bought_most(of: Asked) -> FloatArray:
        return np.asarray(of.often.toarray() + popularity / (popularity.max() + 1.0))

    return {
        "popularity": popular,
        "co-occurrence, last basket": beside_the_newest,
        "co-occurrence, all baskets": beside_all,
        "own products again, then popularity": bought_most,
    }


def by_model(model: Model) -> Scores:
    """Return the scores of a model as they are served: durable goods that she owns are out, best sellers fill up."""
    fill = 1e-9 * model.selling

    def scores(of: Asked) -> FloatArray:
        aged = of.aged(model.settings.decay)
        found = np.asarray((aged @ model.together + aged @ sparse.diags(model.again)).toarray()) + fill
        return np.asarray(np.where(of.owned & model.durable, -1.0, found))

    return scores
