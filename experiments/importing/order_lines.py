"""A line of an order export into a checked line: which order, who, what, how much, when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from decision.errors import InvalidInput
from decision.money import to_micros
from decision.programme.model import Programme
from decision.stages.events import check_time
from experiments.importing.cells import Unusable, category, decimal, flag, text
from experiments.importing.orders_mapping import OrdersMapping
from experiments.importing.table import Row


@dataclass(frozen=True, slots=True)
class LineFacts:
    """What a line says beside who bought what; None where its file does not tell."""

    category: str | None = None
    variant: str | None = None
    discount_micros: int | None = None
    margin_micros: int | None = None
    return_reason: str | None = None
    channel: str | None = None
    store: str | None = None
    loyalty: bool | None = None


NOTHING_MORE = LineFacts()


@dataclass(frozen=True, slots=True)
class Line:
    """A line that can be used. `quantity` and `amount_micros` are positive, for returns too."""

    order_id: str
    customer_id: str
    product: str
    quantity: Decimal
    amount_micros: int
    at: datetime
    returned: bool
    facts: LineFacts = NOTHING_MORE


class OrderLines:
    """Reads the lines of one table; the first thing that is wrong with a line is its reason."""

    def __init__(
        self, mapping: OrdersMapping, columns: tuple[str, ...], *, programme: Programme, now: datetime
    ) -> None:
        self._mapping = mapping
        self._columns = columns
        self._place = {name: i for i, name in enumerate(columns)}
        self._currency = programme.currency
        self._now = now

    def read(self, row: Row) -> Line:
        """Return the line in a row. Raises `Unusable` with the reason."""
        if len(row) != len(self._columns):
            raise Unusable(f"not {len(self._columns)} columns")
        mapping = self._mapping
        order_id = category(self._cell(row, mapping.order_id), mapping.order_id)
        if order_id is None:
            raise Unusable("no order id")
        if order_id.startswith(mapping.adjustment_prefixes):
            raise Unusable("adjustment of the books, no order")
        customer_id = category(self._cell(row, mapping.customer_id), mapping.customer_id)
        if customer_id is None:
            raise Unusable("no customer id")
        product = self._product(row)
        returned, quantity = self._quantity(row, order_id)
        price = self._price(row)
        facts = self._facts(row) if mapping.optional else NOTHING_MORE
        amount = _amount(quantity, price)
        return Line(order_id, customer_id, product, quantity, amount, self._time(row), returned, facts)

    def _facts(self, row: Row) -> LineFacts:
        found: dict[str, Any] = {}
        for name, column in self._mapping.optional.items():
            cell = self._cell(row, column)
            if text(cell) is None:
                continue
            if name in ("discount", "margin"):
                found[f"{name}_micros"] = _micros(decimal(cell, column), allow_negative=name == "margin")
            else:
                found[name] = flag(cell, column) if name == "loyalty" else category(cell, column)
        return LineFacts(**found)

    def _cell(self, row: Row, column: str) -> Any:
        return row[self._place[column]]

    def _product(self, row: Row) -> str:
        product = category(self._cell(row, self._mapping.product), self._mapping.product)
        if product is None:
            raise Unusable("no product code")
        if self._mapping.excluded.fullmatch(product):
            raise Unusable("not a product (postage, fees, vouchers, corrections)")
        return product

    def _quantity(self, row: Row, order_id: str) -> tuple[bool, Decimal]:
        """Return whether the line is a return, and how many pieces."""
        quantity = decimal(self._cell(row, self._mapping.quantity), self._mapping.quantity)
        if quantity == 0:
            raise Unusable("quantity of zero")
        rule, negative = self._mapping.returns, quantity < 0
        if rule is None:
            returned = False
        elif rule.prefix is not None:
            returned = order_id.startswith(rule.prefix)
        elif rule.column is not None:
            returned = text(self._cell(row, rule.column)) == rule.value
        else:
            returned = negative
        if returned and rule is not None and negative != rule.negative:
            raise Unusable(f"{'negative' if negative else 'positive'} quantity in a return")
        if negative and not returned:
            raise Unusable("negative quantity outside a return")
        return returned, abs(quantity)

    def _price(self, row: Row) -> Decimal:
        price = decimal(self._cell(row, self._mapping.unit_price), self._mapping.unit_price)
        if price <= 0:
            raise Unusable("price of zero" if price == 0 else "negative price")
        currency = self._mapping.currency
        if currency is not None and text(self._cell(row, currency)) != self._currency:
            raise Unusable(f"another currency than {self._currency}")
        return price

    def _time(self, row: Row) -> datetime:
        at = self._mapping.clock.read(self._cell(row, self._mapping.time), self._mapping.time)
        try:
            check_time(at, now=self._now, pointer="line")
        except InvalidInput:
            raise Unusable("a time in the future") from None
        return at


def _amount(quantity: Decimal, price: Decimal) -> int:
    return _micros(quantity * price)


def _micros(amount: Decimal, *, allow_negative: bool = False) -> int:
    try:
        return to_micros(amount, allow_negative=allow_negative)
    except InvalidInput:
        raise Unusable("an amount that is too large or has more than six decimals") from None
