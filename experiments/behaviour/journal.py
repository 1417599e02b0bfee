"""Who bought on which day, and for how much: what all predictions are made from, as sorted arrays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decision.errors import NotEnoughData
from decision.records import FloatArray, IntArray

EPOCH = date(1970, 1, 1)
MISTYPED = 10.0


@dataclass(frozen=True, slots=True)
class Journal:
    """Days with purchases, one row a customer and day, sorted by both; days count from 1970-01-01.

    `customer` [n] are places in `names`; `amount` is what was ordered that day and `returned` (>= 0) what came back, in
    the shop's currency; `margin` that of the order lines, NaN where it was not told. A row holds a purchase, a return,
    or both: `bought` says whether there was a purchase.
    """

    names: tuple[str, ...]
    customer: IntArray
    day: IntArray
    amount: FloatArray
    returned: FloatArray
    margin: FloatArray
    orders: IntArray

    @property
    def bought(self) -> Any:
        """Return which rows hold a purchase, [n]."""
        return self.orders > 0

    @property
    def first_day(self) -> int:
        """Return the first day of the journal."""
        return int(self.day.min())

    @property
    def last_day(self) -> int:
        """Return the last day of the journal."""
        return int(self.day.max())

    def where(self, keep: Any) -> Journal:
        """Return some of the rows; names and places stay."""
        kept = (column[keep] for column in self._columns())
        return Journal(self.names, *kept)

    def before(self, day: int) -> Journal:
        """Return what was known when a day began: nothing of that day or later."""
        return self.where(self.day < day)

    def of_some(self, most: int, *, seed: int) -> Journal:
        """Return the rows of at most so many customers, drawn at random."""
        if len(self.names) <= most:
            return self
        drawn = np.random.default_rng(seed).choice(len(self.names), most, replace=False)
        return self.where(np.isin(self.customer, drawn))

    def sha256(self) -> str:
        """Return a hash over what is known: the same order lines give the same."""
        hashed = hashlib.sha256("\n".join(self.names).encode())
        for column in self._columns():
            hashed.update(np.ascontiguousarray(column).tobytes())
        return hashed.hexdigest()

    def _columns(self) -> tuple[Any, ...]:
        return (self.customer, self.day, self.amount, self.returned, self.margin, self.orders)


def journal_of(lines: pa.Table, *, timezone: str = "UTC", before: datetime | None = None) -> Journal:
    """Return the journal in a table of order lines (`experiments.history.tables.ORDER_LINES`).

    Days are the shop's, by its timezone. Orders cancelled before `before` (or at all, without it) never happened.
    Raises `NotEnoughData` without a purchase.
    """
    lines = _standing(lines, before)
    lines = without_mistypings(lines)
    local = pc.local_timestamp(lines["at"].cast(pa.timestamp("us", tz=timezone)))
    positive = pc.and_(pc.invert(lines["is_return"]), pc.greater(lines["amount"], 0.0))
    rows = pa.table(
        {
            "customer": lines["customer_id"],
            "day": local.cast(pa.date32()).cast(pa.int32()),
            "order": lines["order_id"],
            "bought": pc.if_else(positive, lines["amount"], 0.0),
            "returned": pc.if_else(lines["is_return"], pc.abs(lines["amount"]), 0.0),
            "margin": pc.if_else(positive, lines["margin"], 0.0),
            "paid": pc.if_else(positive, lines["order_id"], pa.scalar(None, pa.string())),
        }
    )
    days = rows.group_by(["customer", "day"]).aggregate(
        [
            ("bought", "sum"),
            ("returned", "sum"),
            ("margin", "sum"),
            ("margin", "count"),
            ("paid", "count_distinct"),
            ("order", "count"),
        ]
    )
    days = days.sort_by([("customer", "ascending"), ("day", "ascending")])
    if not days.num_rows or not pc.sum(days["bought_sum"]).as_py():
        raise NotEnoughData("Expected order lines with a purchase, found none.")
    names = days["customer"].combine_chunks().dictionary_encode()
    # A day's margin is known when that of each line is.
    told = days["margin_count"].to_numpy() == days["order_count"].to_numpy()
    return Journal(
        names=tuple(names.dictionary.to_pylist()),
        customer=names.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        day=days["day"].to_numpy().astype(np.int64),
        amount=days["bought_sum"].to_numpy().astype(float),
        returned=days["returned_sum"].to_numpy().astype(float),
        margin=np.where(told, days["margin_sum"].to_numpy().astype(float), np.nan),
        orders=days["paid_count_distinct"].to_numpy().astype(np.int64),
    )


def _standing(lines: pa.Table, before: datetime | None) -> pa.Table:
    if before is not None:
        lines = lines.filter(pc.less(lines["at"], pa.scalar(before, lines.schema.field("at").type)))
    if "cancelled_at" not in lines.column_names:
        return lines
    cancelled = pc.is_valid(lines["cancelled_at"])
    if before is not None:
        known = pc.less(lines["cancelled_at"], pa.scalar(before, lines.schema.field("cancelled_at").type))
        cancelled = pc.and_(cancelled, known.fill_null(False))
    return lines.filter(pc.invert(cancelled))


def without_mistypings(lines: pa.Table) -> pa.Table:
    """Return lines without mistyped quantities: of a customer who sent back as many of that product on that day.

    Both must be beyond ten times the 99.9th percentile of all quantities: other orders that were undone stay.
    """
    if not lines.num_rows:
        return lines
    quantity = lines["quantity"].to_numpy()
    huge = np.flatnonzero(quantity > MISTYPED * np.quantile(quantity, 0.999))
    sides: dict[tuple[Any, ...], dict[bool, list[int]]] = {}
    for place in huge.tolist():
        row = {name: lines[name][place].as_py() for name in ("customer_id", "product", "at", "is_return")}
        key = (row["customer_id"], row["product"], row["at"].date(), int(quantity[place]))
        sides.setdefault(key, {True: [], False: []})[row["is_return"]].append(place)
    pairs = [p for both in sides.values() for pair in zip(both[True], both[False], strict=False) for p in pair]
    keep = np.ones(lines.num_rows, bool)
    keep[pairs] = False
    return lines.filter(pa.array(keep)) if pairs else lines


def day_of(when: date) -> int:
    """Return a date as days since 1970-01-01."""
    return (when - EPOCH).days


def date_of(day: int) -> date:
    """Return the date of a day."""
    return EPOCH + timedelta(days=int(day))
