"""Item-item neighbours by BM25 from `implicit`, and the facts of products that recommendations need beside them.

Two products are near when they share baskets, and when they share customers; both are mixed. What is near is weighed by
its demand of late: a season that is over is seldom wanted again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from decision.records import BoolArray, FloatArray, IntArray
from experiments.recommend.purchases import DAY_US, Purchases, distinct

NEAREST = 60
STAND_INS = 30
BEST_SELLERS = 500
# BM25 (Robertson and Zaragoza 2009): how soon repetition saturates, and how much long lists are discounted.
SATURATION, OF_BASKETS, OF_CUSTOMERS = 1.2, 0.5, 0.75
RECENT_DAYS = 60
SAME_CATEGORY = 2.0
# Prior counts of the shop's own rates: a product that was sold twice says little of itself.
PRIOR = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What is chosen on earlier baskets.

    `mix` is the share of baskets against customers in nearness; `trend` the power of late demand; `decay` what a basket
    weighs against the one after it; `again` what having bought a product weighs against being near to it. `near` 0
    leaves nearness out: what she bought before, by `again`, then best sellers (ever with `trend` 0, of late with 1).
    """

    mix: float = 0.6
    trend: float = 0.5
    decay: float = 0.8
    again: float = 0.5
    near: float = 1.0

    @property
    def simple(self) -> bool:
        """Return whether these are a rule that anybody could use."""
        return self.near == 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the settings by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Nearness:
    """What all settings share: nearness by baskets and by customers, [N, N] sparse rows that sum to 1.

    `demand` of late and `sold` ever, [N], are shares of the highest.
    """

    by_basket: Any
    by_customer: Any
    demand: FloatArray
    sold: FloatArray


@dataclass(frozen=True, slots=True)
class Model:
    """`together` is [N, N] sparse, a row for the neighbours of a product; `again` and `durable` [N] are as served.

    `selling` [N] orders best sellers.
    """

    settings: Settings
    together: Any
    again: FloatArray
    durable: BoolArray
    selling: FloatArray


def matrix(rows: IntArray, columns: IntArray, shape: tuple[int, int], weight: FloatArray | None = None) -> Any:
    """Return a sparse matrix; weights of the same cell are added up."""
    values = np.ones(len(rows)) if weight is None else weight
    return sparse.csr_matrix((values, (rows, columns)), shape=shape)


def nearness(purchases: Purchases) -> Nearness:
    """Return how near products are in some purchases."""
    n = len(purchases.products)
    used, basket = np.unique(purchases.basket, return_inverse=True)
    baskets = matrix(basket, purchases.product, (len(used), n))
    who, customer = np.unique(purchases.of_line, return_inverse=True)
    customers = matrix(*distinct(customer, purchases.product, n), (len(who), n))
    at = purchases.at[purchases.basket]
    recent = at > at.max() - RECENT_DAYS * DAY_US
    late = np.bincount(purchases.product[recent], minlength=n) + 1.0
    ever = np.bincount(purchases.product, minlength=n) + 1.0
    near = _bm25(baskets, OF_BASKETS), _bm25(customers, OF_CUSTOMERS)
    return Nearness(*near, late / late.max(), ever / ever.max())


def _bm25(of: Any, length: float) -> Any:
    from implicit.nearest_neighbours import bm25_weight

    return _near(bm25_weight(of.T, SATURATION, length), 2 * NEAREST)


def _cosine(of: Any) -> Any:
    from implicit.nearest_neighbours import normalize

    return _near(normalize(of.T), 4 * STAND_INS)


def _near(weighted: Any, k: int) -> Any:
    """Return the nearest of each product; `weighted` has a row for each. Its library warns of any other form."""
    from implicit.nearest_neighbours import ItemItemRecommender

    found = ItemItemRecommender(K=k, num_threads=1)
    found.fit(weighted.T.tocsr(), show_progress=False)
    return _shares(found.similarity)


def _shares(near: Any) -> Any:
    """Return rows that sum to 1, without what is near to itself."""
    near = near.tocsr()
    near = near - sparse.diags(near.diagonal())
    near.eliminate_zeros()
    sums = np.asarray(near.sum(axis=1)).ravel()
    return (sparse.diags(1.0 / np.where(sums > 0, sums, 1.0)) @ near).tocsr()


def model(found: Nearness, durable: BoolArray, settings: Settings) -> Model:
    """Return the model that settings make of what is near; it keeps as many neighbours as are served."""
    mixed = settings.near * settings.mix * found.by_basket + settings.near * (1.0 - settings.mix) * found.by_customer
    together = (mixed @ sparse.diags(found.demand**settings.trend)).tocsr()
    places, weights = nearest(together, NEAREST)
    return Model(
        settings=settings,
        together=of_lists(places, weights),
        again=np.where(durable, 0.0, settings.again * found.demand ** (settings.trend / 2.0)),
        durable=durable,
        selling=found.demand**settings.trend * found.sold ** (1.0 - settings.trend),
    )


def nearest(near: Any, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the `k` highest of each row as places and weights, [N, k]; -1 and 0 where there are fewer."""
    near = near.tocsr()
    n = near.shape[0]
    k = min(k, max(n - 1, 1))
    places, weights = np.full((n, k), -1, dtype=np.int32), np.zeros((n, k), dtype=np.float32)
    for row in range(n):
        start, end = near.indptr[row], near.indptr[row + 1]
        values, columns = near.data[start:end], near.indices[start:end]
        best = np.lexsort((columns, -values))[:k]
        best = best[values[best] > 0]
        places[row, : len(best)], weights[row, : len(best)] = columns[best], values[best]
    return places, weights


def of_lists(places: NDArray[np.int32], weights: NDArray[np.float32]) -> Any:
    """Return the [N, N] sparse matrix in neighbour lists [N, k]; the opposite of `nearest`."""
    n, k = places.shape
    known = places.ravel() >= 0
    rows = np.repeat(np.arange(n), k)[known]
    return matrix(rows, places.ravel()[known].astype(np.int64), (n, n), weights.ravel()[known].astype(np.float64))


def stand_ins(together: Any, category: IntArray, names: Any | None) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return what can stand in for each product [N, K]: what is bought in the same company, named alike, of its kind.

    `together` is nearness [N, N]; products whose neighbours are the same are of one use. `names` is None or a matrix
    [N, words] with rows of length 1.
    """
    alike = _cosine(together.T.tocsr())
    if names is not None:
        alike = 0.5 * alike + 0.5 * _cosine(names.T.tocsr())
    pairs = alike.tocoo()
    same = (category[pairs.row] == category[pairs.col]) & (category[pairs.row] >= 0)
    return nearest(
        matrix(pairs.row, pairs.col, alike.shape, pairs.data * np.where(same, SAME_CATEGORY, 1.0)), STAND_INS
    )


def arrays_of(model: Model) -> Mapping[str, NDArray[np.generic]]:
    """Return the part of what is served that the model decides."""
    places, weights = nearest(model.together, NEAREST)
    return {"together": places, "together_weight": weights, "again": model.again, "durable": model.durable}
