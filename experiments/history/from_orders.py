"""The history in a file of order lines, under the same mapping that `encore import orders` takes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from decision.money import MICROS
from decision.programme.model import Programme
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History, Rows
from experiments.importing.order_lines import Line, OrderLines
from experiments.importing.orders import Advance, Basket, gather
from experiments.importing.orders_mapping import OrdersMapping, read_orders_mapping
from experiments.importing.rejects import Rejects
from experiments.importing.table import Table


def history_of_file(
    path: Path, mapping_path: Path, programme: Programme, *, now: datetime, rejects_path: Path | None = None
) -> History:
    """Return the history in a file of orders; see `history_of_orders`. Raises `InvalidMapping` or `InvalidInput`."""
    mapping, table = read_orders_mapping(mapping_path, path, programme)
    return history_of_orders(Orders(table, mapping, programme), now=now, rejects_path=rejects_path)


@dataclass(frozen=True, slots=True)
class Orders:
    """A file of order lines, opened, with its mapping; the programme says in which currency and until when."""

    table: Table
    mapping: OrdersMapping
    programme: Programme


def history_of_orders(
    orders: Orders, *, now: datetime, rejects_path: Path | None = None, advance: Advance = lambda _: None
) -> History:
    """Return the history in a file of orders. Lines that can't be used are in `left_out` with their reasons.

    They are also written to `rejects_path`, as an import does. `advance` is told how far the reading has come.
    """
    rejects = Rejects()
    reader = OrderLines(orders.mapping, orders.table.columns, programme=orders.programme, now=now)
    _, baskets = gather(orders.table, reader, orders.mapping, rejects, advance)
    lines = Rows(ORDER_LINES)
    for basket in sorted(baskets, key=lambda b: (b.customer_id, b.at, b.message_id)):
        for line in basket.lines:
            lines.add(*_record(basket, line))
    if rejects_path is not None:
        rejects.write(orders.table, rejects_path)
    return History(lines.table(), Rows(CONTACTS).table(), Rows(VISITS).table(), rejects.explained)


def _record(basket: Basket, line: Line) -> tuple[object, ...]:
    facts = line.facts
    return (
        line.customer_id,
        line.order_id,
        # The lines of an order are bought at one moment, whenever each was typed in.
        basket.at,
        line.product,
        facts.variant,
        facts.category,
        max(int(line.quantity.to_integral_value()), 1),
        (-line.amount_micros if line.returned else line.amount_micros) / MICROS,
        (facts.discount_micros or 0) / MICROS,
        None if facts.margin_micros is None else facts.margin_micros / MICROS,
        line.returned,
        facts.return_reason,
        facts.channel,
        facts.store,
        facts.loyalty,
    )
