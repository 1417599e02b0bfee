"""The use case: lines of past orders become Order Completed and Order Refunded, as if the shop had sent them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Any

from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import outcome_of
from decision.ledger.base import Ledger
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import Outcome
from decision.stages.events import ORDER_COMPLETED, ORDER_REFUNDED
from experiments.importing.cells import Unusable
from experiments.importing.order_lines import Line, OrderLines
from experiments.importing.orders_mapping import OrdersMapping
from experiments.importing.rejects import Rejects
from experiments.importing.table import Row, Table

# A long import must not keep the till waiting for the ledger.
CHUNK = 500
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class OrdersReceipt:
    """What became of the lines: lines = used + sum of `rejected`, by reason; `new_…` were not in the ledger.

    `explained` are the same counts with what the first line of each reason holds. `times` are those of the first and
    the last order, `median_order` is money: both show at a glance that dates and amounts were read as they were meant.
    """

    lines: int
    used: int
    rejected: dict[str, int]
    rejects_path: Path | None
    orders: int
    new_orders: int
    returns: int
    new_returns: int
    customers: int
    explained: dict[str, int] = field(default_factory=dict)
    times: tuple[datetime, datetime] | None = None
    median_order: Decimal | None = None


@dataclass(slots=True)
class Basket:
    """The lines of one order or return. `at` is the earliest of their times."""

    message_id: str
    order_id: str
    customer_id: str
    returned: bool
    at: datetime
    amount_micros: int = 0
    lines: list[Line] = field(default_factory=list)
    row_numbers: list[int] = field(default_factory=list)

    def add(self, row_number: int, line: Line) -> None:
        """Take a line in."""
        self.at = min(self.at, line.at)
        self.amount_micros += line.amount_micros
        self.lines.append(line)
        self.row_numbers.append(row_number)

    def event(self, currency: str) -> Event:
        """Return what the shop would have sent; `products` holds (code, quantity, micros of the line).

        A line of which category or variant is known has them as well.
        """
        properties: dict[str, Any] = {
            "order_id": self.order_id,
            "revenue": str(Decimal(self.amount_micros) / MICROS),
            "currency": currency,
            "products": [_product(line) for line in self.lines],
            **self._facts(),
        }
        name = ORDER_REFUNDED if self.returned else ORDER_COMPLETED
        return Event(name, self.customer_id, self.at, properties, self.message_id)

    def _facts(self) -> dict[str, Any]:
        """Return what the file's optional columns say of the whole: sums of money, else what the first line says."""
        facts = [line.facts for line in self.lines]
        told: dict[str, Any] = {
            name: next((value for line in facts if (value := getattr(line, name)) is not None), None)
            for name in ("return_reason", "channel", "store", "loyalty")
        }
        for name in ("discount", "margin"):
            amounts = [getattr(line, f"{name}_micros") for line in facts]
            # A sum that lacks lines would be taken for the whole.
            if None not in amounts:
                told[name] = str(Decimal(sum(amounts)) / MICROS)
        return {name: value for name, value in told.items() if value is not None}


def _product(line: Line) -> tuple[Any, ...]:
    whole = line.quantity == line.quantity.to_integral_value()
    quantity = int(line.quantity) if whole else float(line.quantity)
    said = (line.product, quantity, line.amount_micros)
    more = (line.facts.category, line.facts.variant)
    return said if more == (None, None) else (*said, *more)


def import_orders(
    table: Table,
    mapping: OrdersMapping,
    *,
    programme: Programme,
    ledger: Ledger,
    now: datetime,
    rejects_path: Path,
    advance: Advance = lambda _: None,
) -> OrdersReceipt:
    """Gather the lines of each order, write orders and returns. The same lines again change nothing.

    `advance` is told how far the reading of the table has come, `table.length` in all.
    """
    rejects = Rejects()
    lines = OrderLines(mapping, table.columns, programme=programme, now=now)
    n, baskets = gather(table, lines, mapping, rejects, advance)
    outcomes = _outcomes(baskets, rejects, programme=programme, now=now)
    written = rejects.write(table, rejects_path)
    orders = [outcome for outcome in outcomes if outcome.name == ORDER_COMPLETED]
    returns = [outcome for outcome in outcomes if outcome.name == ORDER_REFUNDED]
    new_orders = _write(orders, ledger, now=now)
    new_returns = _write(returns, ledger, now=now)
    return OrdersReceipt(
        lines=n,
        used=n - len(rejects),
        rejected=rejects.counts,
        rejects_path=written,
        orders=len(orders),
        new_orders=new_orders,
        returns=len(returns),
        new_returns=new_returns,
        customers=len({outcome.customer_id for outcome in outcomes}),
        explained=rejects.explained,
        times=(orders[0].occurred_at, orders[-1].occurred_at) if orders else None,
        median_order=_median(orders),
    )


def _median(orders: list[Outcome]) -> Decimal | None:
    if not orders:
        return None
    return Decimal(round(median(order.properties["revenue_micros"] for order in orders))) / MICROS


def gather(
    table: Table, lines: OrderLines, mapping: OrdersMapping, rejects: Rejects, advance: Advance
) -> tuple[int, Iterable[Basket]]:
    """Return how many lines the table has, and its orders and returns; what can't be used goes to `rejects`."""
    n = 0
    baskets: dict[str, Basket] = {}
    seen: set[tuple[Any, ...]] = set()
    for batch in table.batches():
        for row_number, row in batch.numbered():
            try:
                line = lines.read(row)
                if not mapping.keep_duplicates:
                    _check_first(row, seen)
                _put(row_number, line, baskets, mapping)
            except Unusable as reason:
                rejects.add(row_number, reason.message, reason.detail)
        n += len(batch.rows)
        advance(batch.advance)
    return n, baskets.values()


def _check_first(row: Row, seen: set[tuple[Any, ...]]) -> None:
    if tuple(row) in seen:
        raise Unusable("the same line again")
    seen.add(tuple(row))


def _put(row_number: int, line: Line, baskets: dict[str, Basket], mapping: OrdersMapping) -> None:
    key = f"import:{mapping.name}:{line.order_id}"
    if line.returned:
        key += ":returned"
        if mapping.returns is not None and not mapping.returns.own_ids:
            # Under the id of the order, goods that come back on another day are another return.
            key += f":{line.at.astimezone(mapping.clock.timezone).date()}"
    basket = baskets.get(key)
    if basket is None:
        basket = baskets[key] = Basket(key, line.order_id, line.customer_id, line.returned, line.at)
    if basket.customer_id != line.customer_id:
        raise Unusable("another customer than the first line of its order")
    basket.add(row_number, line)


def _outcomes(baskets: Iterable[Basket], rejects: Rejects, *, programme: Programme, now: datetime) -> list[Outcome]:
    """Return the facts in time order; lines of an order that the door refuses are rejected."""
    outcomes = []
    for basket in sorted(baskets, key=lambda b: (b.at, b.message_id)):
        try:
            outcomes.append(outcome_of(basket.event(programme.currency), programme=programme, now=now))
        except InvalidInput as error:
            for row_number in basket.row_numbers:
                rejects.add(row_number, f"its order is refused: {error.message}")
    return outcomes


def _write(outcomes: list[Outcome], ledger: Ledger, *, now: datetime) -> int:
    chunks = (outcomes[start : start + CHUNK] for start in range(0, len(outcomes), CHUNK))
    return sum(ledger.record_outcomes(chunk, now=now) for chunk in chunks)
