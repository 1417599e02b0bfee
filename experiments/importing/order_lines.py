"""A line of an order export into a checked line: which order, who, what, how much, when."""

from __future__ import annotations

import re
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
# A spreadsheet shows long ids as 4.50012E+11 and saves what it shows: many ids become one.
_ROUNDED = re.compile(r"\d[.,]\d+E\+\d+", re.IGNORECASE)


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
            n = len(self._columns)
            raise Unusable(f"not {n} columns", detail=f"expected {n}, found {len(row)}{_why(len(row) > n)}")
        mapping = self._mapping
        order_id = self._id(row, mapping.order_id)
        if order_id is None:
            raise Unusable("no order id")
        if order_id.startswith(mapping.adjustment_prefixes):
            raise Unusable("adjustment of the books, no order")
        customer_id = self._id(row, mapping.customer_id)
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
                found[f"{name}_micros"] = _micros(self._money(cell, column), allow_negative=name == "margin")
            else:
                found[name] = flag(cell, column) if name == "loyalty" else category(cell, column)
        return LineFacts(**found)

    def _cell(self, row: Row, column: str) -> Any:
        return row[self._place[column]]

    def _id(self, row: Row, column: str) -> str | None:
        found = category(self._cell(row, column), column)
        if found is not None and _ROUNDED.fullmatch(found):
            hint = "export it again with the column as text"
            raise Unusable(f"an id that a spreadsheet rounded in {column!r}", detail=f"found {found!r}; {hint}")
        return found

    def _money(self, cell: Any, column: str) -> Decimal:
        amount = decimal(cell, column, self._mapping.figures)
        return amount.scaleb(-2) if self._mapping.cents else amount

    def _product(self, row: Row) -> str:
        product = category(self._cell(row, self._mapping.product), self._mapping.product)
        if product is None:
            raise Unusable("no product code")
        if self._mapping.excluded.fullmatch(product):
            raise Unusable("not a product (postage, fees, vouchers, corrections)")
        return product

    def _quantity(self, row: Row, order_id: str) -> tuple[bool, Decimal]:
        """Return whether the line is a return, and how many pieces."""
        column = self._mapping.quantity
        quantity = decimal(self._cell(row, column), column, self._mapping.figures)
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
            hint = "" if rule else "[returns] negative_quantity = true would read it as a return"
            raise Unusable("negative quantity outside a return", detail=hint)
        return returned, abs(quantity)

    def _price(self, row: Row) -> Decimal:
        price = self._money(self._cell(row, self._mapping.unit_price), self._mapping.unit_price)
        if price <= 0:
            raise Unusable("price of zero" if price == 0 else "negative price")
        self._check_currency(row)
        return price

    def _check_currency(self, row: Row) -> None:
        column = self._mapping.currency
        if column is None:
            return
        found = text(self._cell(row, column))
        if found is None:
            raise Unusable(f"no currency in {column!r}")
        if found.upper() != self._currency:
            raise Unusable(f"another currency than {self._currency}", detail=f"found {found[:40]!r} in {column!r}")

    def _time(self, row: Row) -> datetime:
        at = self._mapping.clock.read(self._cell(row, self._mapping.time), self._mapping.time)
        try:
            check_time(at, now=self._now, pointer="line")
        except InvalidInput:
            raise Unusable("a time in the future") from None
        return at


def _why(too_many: bool) -> str:
    return "; a text or a number that holds the delimiter needs quotes" if too_many else ""


def _amount(quantity: Decimal, price: Decimal) -> int:
    return _micros(quantity * price)


def _micros(amount: Decimal, *, allow_negative: bool = False) -> int:
    try:
        return to_micros(amount, allow_negative=allow_negative)
    except InvalidInput:
        raise Unusable("an amount that is too large or has more than six decimals") from None
