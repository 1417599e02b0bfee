"""Customers who stay away, with what they bought and sent back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from decision.stages.baskets import History


@dataclass(frozen=True, slots=True)
class Silent:
    """A customer without an order for `days` days."""

    customer_id: str
    days: int
    history: History


def silent(lines: pa.Table, *, days: int) -> list[Silent]:
    """Return who has not ordered for so many days before the last order of anybody, the most recent customers first."""
    lines = lines.filter(pc.and_(pc.is_valid(lines["product"]), pc.is_null(lines["cancelled_at"])))
    bought = lines.filter(pc.invert(lines["is_return"]))
    if bought.num_rows == 0:
        return []
    end: datetime = pc.max(bought["at"]).as_py()
    last = bought.group_by("customer_id").aggregate([("at", "max")])
    quiet = last.filter(pc.less_equal(last["at_max"], pa.scalar(end - timedelta(days=days), last["at_max"].type)))
    silence = dict(zip(quiet["customer_id"].to_pylist(), quiet["at_max"].to_pylist(), strict=True))
    of_quiet = lines.filter(pc.is_in(lines["customer_id"], value_set=quiet["customer_id"].combine_chunks()))
    baskets: dict[str, dict[tuple[datetime, str], dict[str, None]]] = {name: {} for name in silence}
    returned: dict[str, set[str]] = {name: set() for name in silence}
    names = ("customer_id", "order_id", "at", "product", "is_return")
    columns: list[list[Any]] = [of_quiet[name].to_pylist() for name in names]
    for customer, order, at, product, is_return in zip(*columns, strict=True):
        if is_return:
            returned[customer].add(product)
        else:
            baskets[customer].setdefault((at, order), {})[product] = None
    found = [
        Silent(customer, (end - at).days, _history(baskets[customer], returned[customer]))
        for customer, at in silence.items()
    ]
    return sorted(found, key=lambda one: (one.days, one.customer_id))


def _history(baskets: dict[tuple[datetime, str], dict[str, None]], returned: set[str]) -> History:
    newest_first = sorted(baskets.items(), reverse=True)
    return History(tuple(tuple(products) for _, products in newest_first), frozenset(returned))
