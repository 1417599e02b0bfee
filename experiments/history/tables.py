"""The three tables that say what customers did. Everything offline that looks at behaviour reads these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_TIME = pa.timestamp("us", tz="UTC")
_NEVER_NULL = frozenset({"customer_id", "order_id", "at", "quantity", "amount", "discount", "is_return", "action_id"})


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name not in _NEVER_NULL) for name, kind in columns.items()])


# A line of an order, or of what came back of one. `amount` is the net revenue of the line in the shop's currency;
# what was paid back, below 0, on a returned line (0 where the shop never told the order that came back). `product` is
# null where the shop told an order without its products. `cancelled_at`: from then on the order never happened.
ORDER_LINES = _schema(
    customer_id=pa.string(),
    order_id=pa.string(),
    at=_TIME,
    product=pa.string(),
    variant=pa.string(),
    category=pa.string(),
    quantity=pa.int64(),
    amount=pa.float64(),
    discount=pa.float64(),
    margin=pa.float64(),
    is_return=pa.bool_(),
    return_reason=pa.string(),
    channel=pa.string(),
    store=pa.string(),
    loyalty=pa.bool_(),
    cancelled_at=_TIME,
)
# A treatment that was asked for, and when it was first followed by what; null where that did not happen or nobody told.
# `converted_at` is her next order inside the attribution window, whether or not the offer was used.
CONTACTS = _schema(
    customer_id=pa.string(),
    at=_TIME,
    action_id=pa.string(),
    offer=pa.string(),
    channel=pa.string(),
    decision_id=pa.string(),
    opened_at=_TIME,
    clicked_at=_TIME,
    converted_at=_TIME,
)
# Something she did on her own beside ordering: a page viewed, a cart filled, a store visited.
VISITS = _schema(customer_id=pa.string(), at=_TIME)


@dataclass(frozen=True, slots=True)
class History:
    """The tables, and how many records could not be used for each reason."""

    order_lines: pa.Table
    contacts: pa.Table
    visits: pa.Table
    left_out: Mapping[str, int] = field(default_factory=dict)

    def known_before(self, as_of: datetime) -> History:
        """Return what was known strictly before a moment: an order that is cancelled later is still an order."""
        lines = _before(self.order_lines, as_of)
        cancelled = pc.less(lines["cancelled_at"], pa.scalar(as_of, _TIME)).fill_null(False)
        lines = _later_is_unknown(lines.filter(pc.invert(cancelled)), as_of)
        contacts = _later_is_unknown(_before(self.contacts, as_of), as_of)
        return History(lines, contacts, _before(self.visits, as_of), self.left_out)


def _before(table: pa.Table, as_of: datetime) -> pa.Table:
    return table.filter(pc.less(table["at"], pa.scalar(as_of, _TIME)))


def _later_is_unknown(table: pa.Table, as_of: datetime) -> pa.Table:
    """Return a table whose times of what followed are null from `as_of` on."""
    moment, unknown = pa.scalar(as_of, _TIME), pa.scalar(None, _TIME)
    for i, name in enumerate(table.column_names):
        if name.endswith("_at"):
            table = table.set_column(
                i, table.schema.field(i), pc.if_else(pc.less(table[name], moment), table[name], unknown)
            )
    return table


class Rows:
    """Gathers records of one schema, column by column, and turns them into a table piece by piece."""

    PIECE = 100_000

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._columns: list[list[Any]] = [[] for _ in schema.names]
        self._pieces: list[pa.RecordBatch] = []

    def add(self, *values: Any) -> None:
        """Take a record in, its values in the order of the schema; those left out at the end are null."""
        for column, value in zip_longest(self._columns, values):
            column.append(value)
        if len(self._columns[0]) >= self.PIECE:
            self._flush()

    def table(self) -> pa.Table:
        """Return everything that was added."""
        self._flush()
        return pa.Table.from_batches(self._pieces, self._schema)

    def _flush(self) -> None:
        if self._columns[0]:
            self._pieces.append(pa.RecordBatch.from_arrays(self._arrays(), schema=self._schema))
            self._columns = [[] for _ in self._schema.names]

    def _arrays(self) -> Iterable[pa.Array]:
        return [pa.array(column, kind) for column, kind in zip(self._columns, self._schema.types, strict=True)]
