"""Order lines as numbers: who bought which product in which basket, what came back, and what kind of product it is."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from decision.errors import NotEnoughData
from decision.records import BoolArray, IntArray

DAY_US = 86_400_000_000
FEWEST_PRODUCTS = 2
FEWEST_BASKETS = 20


@dataclass(frozen=True, slots=True)
class Purchases:
    """L lines in B baskets of C customers over N products; a product counts once a basket.

    Lines: `basket` [L], `product` [L]. Baskets: `customer` [B], `at` [B] in µs since 1970, by customer and time.
    Returns: `back_customer` [R], `back_product` [R]. `category` [N] is -1 where unknown; `variants` [N] counts the
    sizes or colours that were seen of a product.
    """

    products: tuple[str, ...]
    categories: tuple[str, ...]
    category: IntArray
    variants: IntArray
    customers: tuple[str, ...]
    basket: IntArray
    product: IntArray
    customer: IntArray
    at: IntArray
    back_customer: IntArray
    back_product: IntArray

    @property
    def of_line(self) -> IntArray:
        """Return the customer of each line, [L]."""
        return self.customer[self.basket]

    def only(self, baskets: BoolArray) -> Purchases:
        """Return the lines of some baskets, [B]; products, baskets and customers keep their numbers."""
        lines = baskets[self.basket]
        return replace(self, basket=self.basket[lines], product=self.product[lines])

    @property
    def sha256(self) -> str:
        """Return a hash of what is learned from."""
        digest = hashlib.sha256("\0".join(self.products).encode())
        for part in (self.basket, self.product, self.customer, self.at, self.back_customer, self.back_product):
            digest.update(part.tobytes())
        return digest.hexdigest()


def purchases_of(lines: pa.Table) -> Purchases:
    """Return the purchases in a table of order lines; what never names its product is left out.

    Raises
    ------
    NotEnoughData : there are fewer than 2 products or 20 baskets.
    """
    lines = lines.filter(pc.is_valid(lines["product"]))
    if "cancelled_at" in lines.column_names:
        lines = lines.filter(pc.is_null(lines["cancelled_at"]))
    bought, back = lines.filter(pc.invert(lines["is_return"])), lines.filter(lines["is_return"])
    products, product = _coded(bought["product"])
    customers, customer = _coded(bought["customer_id"])
    orders, order = _coded(bought["order_id"])
    n_orders = max(len(orders), 1)
    at = bought["at"].cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_numpy()
    keys, basket = np.unique(customer * n_orders + order, return_inverse=True)
    if len(products) < FEWEST_PRODUCTS or len(keys) < FEWEST_BASKETS:
        raise NotEnoughData(
            f"Expected {FEWEST_PRODUCTS} products in {FEWEST_BASKETS} baskets at least, "
            f"found {len(products)} in {len(keys)}.",
            hint="Until then the shop's best sellers do as well.",
        )
    began = np.full(len(keys), np.iinfo(np.int64).max)
    np.minimum.at(began, basket, at)
    order_of = np.lexsort((began, keys // n_orders))
    rank = np.empty(len(order_of), dtype=np.int64)
    rank[order_of] = np.arange(len(order_of))
    once = distinct(rank[basket], product, len(products))
    place, known = {p: i for i, p in enumerate(products)}, {c: i for i, c in enumerate(customers)}
    returns = [(known[c], place[p]) for c, p in _pairs(back) if c in known and p in place]
    categories, category = _categories(bought, product, len(products))
    return Purchases(
        products=products,
        categories=categories,
        category=category,
        variants=_variants(bought, product, len(products)),
        customers=customers,
        basket=once[0],
        product=once[1],
        customer=keys[order_of] // n_orders,
        at=began[order_of],
        back_customer=np.array([c for c, _ in returns], dtype=np.int64),
        back_product=np.array([p for _, p in returns], dtype=np.int64),
    )


def distinct(first: IntArray, second: IntArray, n: int) -> tuple[IntArray, IntArray]:
    """Return the different pairs of two codes, in order; the second are below `n`."""
    # As one number: sorting columns takes ten times as long.
    keys = np.unique(first * n + second)
    return keys // n, keys % n


def _pairs(lines: pa.Table) -> list[tuple[str, str]]:
    return list(zip(lines["customer_id"].to_pylist(), lines["product"].to_pylist(), strict=True))


def _coded(column: Any) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the different texts of a column in order, and the place of each cell among them."""
    texts = pa.array(sorted(pc.unique(column).to_pylist()), column.type)
    return tuple(texts.to_pylist()), pc.index_in(column, value_set=texts).to_numpy().astype(np.int64)


def _categories(bought: pa.Table, product: IntArray, n: int) -> tuple[tuple[str, ...], IntArray]:
    """Return the categories, and for each product [N] the one that it was sold under last."""
    category = np.full(n, -1, dtype=np.int64)
    if "category" not in bought.column_names:
        return (), category
    known = pc.is_valid(bought["category"]).to_numpy(zero_copy_only=False)
    if not known.any():
        return (), category
    names, codes = _coded(bought["category"].filter(pa.array(known)))
    category[product[known]] = codes
    return names, category


def _variants(bought: pa.Table, product: IntArray, n: int) -> IntArray:
    if "variant" not in bought.column_names:
        return np.ones(n, dtype=np.int64)
    known = pc.is_valid(bought["variant"]).to_numpy(zero_copy_only=False)
    if not known.any():
        return np.ones(n, dtype=np.int64)
    _, codes = _coded(bought["variant"].filter(pa.array(known)))
    of_product, _ = distinct(product[known], codes, int(codes.max()) + 1)
    return np.maximum(np.bincount(of_product, minlength=n), 1)
