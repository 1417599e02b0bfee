"""The mapping of an export of order lines: which column says what, what is a return, what is no product."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from decision.programme.model import Programme
from decision.programme.section import Section
from experiments.importing.cells import Clock
from experiments.importing.figures import PLAIN, Figures
from experiments.importing.mapping import Draft, begin, clock_of, name_of
from experiments.importing.table import Table


@dataclass(frozen=True, slots=True)
class ReturnRule:
    """What makes a line a return: a prefix of the order id, a value in a column, or a negative quantity.

    `negative` tells how quantities of returns are written; the other sign is a line that can't be used.
    """

    prefix: str | None = None
    column: str | None = None
    value: str = ""
    negative: bool = True

    @property
    def own_ids(self) -> bool:
        """Return whether a return has an id of its own, so that all lines under it are one return."""
        return self.prefix is not None


# What a line may say beside who bought what: the files of most shops lack some of it.
OPTIONAL = ("category", "variant", "discount", "margin", "return_reason", "channel", "store", "loyalty")


@dataclass(frozen=True, slots=True)
class OrdersMapping:
    """A validated mapping. `returns` is None where the file holds none; `excluded` matches no-product codes whole.

    `optional` are the columns of `OPTIONAL` that the file has; `cents`: money is in hundredths of the currency.
    """

    name: str
    clock: Clock
    order_id: str
    customer_id: str
    product: str
    quantity: str
    unit_price: str
    time: str
    currency: str | None
    returns: ReturnRule | None
    excluded: re.Pattern[str]
    adjustment_prefixes: tuple[str, ...]
    keep_duplicates: bool
    optional: Mapping[str, str] = field(default_factory=dict)
    figures: Figures = PLAIN
    cents: bool = False


def read_orders_mapping(path: Path, file: Path, programme: Programme) -> tuple[OrdersMapping, Table]:
    """Return the mapping at `path` and the table in `file` that it is about.

    Raises
    ------
    InvalidMapping : the mapping has mistakes; each is listed with its line and place.
    InvalidInput : the file can't be read as a table.
    """
    draft = begin(path, file)
    head, columns = draft.root.sub("orders"), draft.root.sub("columns")
    mapping = OrdersMapping(
        name=name_of(head),
        clock=clock_of(head, programme.timezone),
        order_id=draft.column(columns, "order_id"),
        customer_id=draft.column(columns, "customer_id"),
        product=draft.column(columns, "product"),
        quantity=draft.column(columns, "quantity"),
        unit_price=draft.column(columns, "unit_price"),
        time=draft.column(columns, "time"),
        currency=_currency(draft, head, columns, programme),
        returns=_returns(draft) if draft.root.has("returns") else None,
        excluded=_excluded(head),
        adjustment_prefixes=head.texts("adjustment_prefixes"),
        keep_duplicates=head.text("duplicate_lines", "keep", one_of=("keep", "reject")) == "keep",
        optional={key: draft.column(columns, key) for key in OPTIONAL if columns.has(key)},
        figures=draft.figures,
        cents=head.text("amounts_in", "units", one_of=("units", "cents")) == "cents",
    )
    columns.finish()
    head.finish()
    draft.finish()
    return mapping, draft.table


def _currency(draft: Draft, head: Section, columns: Section, programme: Programme) -> str | None:
    """Return the column that holds the currency of a line, or None where one currency holds for all."""
    column = draft.optional_column(columns, "currency")
    if column is not None and head.has("currency"):
        head.wrong("currency", "expected a currency here or a column of currencies, found both")
    given = head.text("currency", programme.currency if column else None)
    if head.has("currency") and given.strip().upper() != programme.currency:
        head.wrong("currency", f"expected the programme's currency {programme.currency}, found {given!r}")
    return column


def _returns(draft: Draft) -> ReturnRule:
    section = draft.root.sub("returns")
    prefix = section.text("return_prefix") if section.has("return_prefix") else None
    column = draft.optional_column(section, "column")
    value = section.text("value") if column is not None else ""
    by_sign = section.flag("negative_quantity", False)
    sign = section.text("quantity", "negative", one_of=("negative", "positive"))
    section.finish()
    if [prefix is not None, column is not None, by_sign].count(True) != 1:
        section.wrong("", "expected one of `return_prefix`, `column` with `value`, or `negative_quantity = true`")
    if by_sign and sign == "positive":
        section.wrong("quantity", "expected negative, as `negative_quantity` says, found 'positive'")
    return ReturnRule(prefix, column, value, sign == "negative")


def _excluded(head: Section) -> re.Pattern[str]:
    patterns = head.texts("exclude_products")
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            head.wrong("exclude_products", f"expected a regular expression, found {pattern!r}: {error}")
            return re.compile("(?!)")
    return re.compile("|".join(f"(?:{p})" for p in patterns) or "(?!)", re.IGNORECASE)
