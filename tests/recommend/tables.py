"""Order lines as the history gives them, from short lists."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from experiments.history.tables import ORDER_LINES
from tests.support import DAY, NOW

# Customer, order, days after the first, products.
Order = tuple[str, str, float, str]


def lines(orders: Iterable[Order], returns: Iterable[tuple[str, str]] = (), **facts: dict[str, str]) -> pa.Table:
    """Return a table; products are words of a text, `facts` give a column's value by product."""
    rows = [_row(c, o, NOW + timedelta(days=d), p, facts) for c, o, d, text in orders for p in text.split()]
    rows += [_row(c, "r", NOW + 400 * DAY, p, facts) | {"is_return": True, "amount": -1.0} for c, p in returns]
    return pa.Table.from_pylist(rows, schema=ORDER_LINES)


def _row(customer: str, order: str, at: datetime, product: str, facts: dict[str, dict[str, str]]) -> dict[str, Any]:
    blank = {"customer_id": customer, "order_id": order, "at": at, "product": product, "quantity": 1, "amount": 1.0}
    blank |= {"discount": 0.0, "is_return": False}
    return blank | {column: of.get(product) for column, of in facts.items()}


def shop(customers: int = 60, orders: int = 4) -> list[Order]:
    """Return customers of two tastes: each buys pairs that go together, and one product that everybody buys."""
    found = []
    for c in range(customers):
        taste = "ab"[c % 2]
        for o in range(orders):
            pair = (c + o) % 4
            found.append((f"c{c}", f"o{c}-{o}", 30.0 * o + c / 10, f"{taste}{pair} {taste}{pair}-with every"))
    return found


def flat_shop(customers: int, *, seed: int, products: int = 60) -> list[Order]:
    """Return a shop without structure: every basket is drawn from one list of best sellers, whoever she is."""
    rng = np.random.default_rng(seed)
    sells = 1.0 / np.arange(1, products + 1) ** 0.8
    found: list[Order] = []
    for c in range(customers):
        for o in range(1 + rng.poisson(3)):
            drawn = rng.choice(products, size=1 + rng.poisson(2), replace=False, p=sells / sells.sum())
            found.append((f"c{c}", f"o{c}-{o}", rng.uniform(0, 360), " ".join(f"p{i:02}" for i in drawn)))
    return found
