"""A large shop's order lines, drawn by a seed into Parquet: over three years, ten lines a customer in four orders."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from decision.records import BoolArray, IntArray
from experiments.history.tables import ORDER_LINES

START = datetime(2023, 1, 1, tzinfo=UTC)
AS_OF = datetime(2025, 10, 1, tzinfo=UTC)
LINES_A_CUSTOMER = 10
_DAYS = 1_095
_PART = 1_000_000
_SECOND = 1_000_000


def write_lines(path: Path, *, customers: int, seed: int) -> int:
    """Write the order lines to `path`, in the order of time, and return how many there are."""
    n = customers * LINES_A_CUSTOMER
    rng = np.random.default_rng(seed)
    order = np.sort(rng.integers(0, n * 2 // 5, n))
    with pq.ParquetWriter(path, ORDER_LINES) as writer:
        for first in range(0, n, _PART):
            writer.write_table(_part(order[first : first + _PART], n * 2 // 5, customers))
    return n


def _of(order: IntArray, salt: int, modulus: int) -> IntArray:
    """Return a number below `modulus` for each order, the same on all of its lines (splitmix64)."""
    mixed = (order.astype(np.uint64) + np.uint64(salt)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed ^ (mixed >> np.uint64(31))) % np.uint64(modulus)).astype(np.int64)


def _part(order: IntArray, orders: int, customers: int) -> pa.Table:
    n, rng = len(order), np.random.default_rng(int(order[0]))
    # Some buy much more often than others.
    customer = (customers * (_of(order, 1, 10**9) / 10**9) ** 1.5).astype(np.int64)
    placed = (order * (_DAYS * 86_400 / orders)).astype(np.int64) + _of(order, 2, 86_400)
    # Half of the lines are of what the order is about: in several sizes, and bought again by the same customers.
    about = np.where(_of(order, 8, 3) == 0, _of(customer, 9, 20_000), _of(order, 10, 20_000))
    product = np.where(rng.random(n) < 0.5, about, rng.integers(0, 20_000, n))
    back = rng.random(n) < 0.08
    pieces = rng.integers(1, 4, n)
    cents = rng.integers(100, 20_000, n) * np.where(back, -1, 1)
    discount = np.where(~back & (_of(order, 3, 5) == 0), np.abs(cents) // 10, 0)
    at = placed + np.where(back, rng.integers(1, 30 * 86_400, n), 0)
    cancelled = _of(order, 4, 100) == 0
    start = int(START.timestamp())
    columns = {
        "customer_id": _named("C", customer, 7),
        "order_id": _named("O", order, 8),
        "at": _times(start + at),
        "product": _named("P", product, 5),
        "variant": _among(("s", "m", "l", "xl"), rng.integers(0, 4, n), product % 3 == 0),
        "category": _named("category ", product % 24, 2),
        "quantity": pa.array(np.where(back, 1, pieces)),
        "amount": pa.array(cents / 100),
        "discount": pa.array(discount / 100),
        "margin": pa.array(cents * 0.4 / 100, mask=back),
        "is_return": pa.array(back),
        "return_reason": _among(("size", "quality", "late"), rng.integers(0, 3, n), back),
        "channel": _among(("email", "sms", "on_page", "web_push"), _of(order, 5, 4), ~back & (_of(order, 6, 3) > 0)),
        "store": pa.nulls(n, pa.string()),
        "loyalty": pa.array(_of(order, 7, 2) == 0, mask=back),
        "cancelled_at": _times(start + placed + 3_600, mask=~cancelled),
    }
    return pa.table({name: columns[name] for name in ORDER_LINES.names}, schema=ORDER_LINES)


def _times(seconds: IntArray, mask: BoolArray | None = None) -> pa.Array:
    return pa.array(seconds * _SECOND, mask=mask).cast(pa.timestamp("us", tz="UTC"))


def _named(prefix: str, numbers: IntArray, digits: int) -> pa.Array:
    values, place = np.unique(numbers, return_inverse=True)
    names = pa.array([f"{prefix}{value:0{digits}d}" for value in values.tolist()])
    return names.take(pa.array(place))


def _among(names: tuple[str, ...], place: IntArray, known: BoolArray) -> pa.Array:
    return pa.array(names).take(pa.array(place, mask=~known))
