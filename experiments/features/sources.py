"""The tables that features are expressed over, derived from the history as it was known before a moment.

Only operations that both DuckDB and Spark have are used, times are whole seconds and money whole micros: sums of whole
numbers are the same in any order, so that a customer's values are the same alone and among a million, to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import ibis
from ibis import Deferred, Table, Value, _

from experiments.features.feature import Over
from experiments.features.variety import RECENT

MICROS = 1_000_000


@dataclass(frozen=True, slots=True)
class Inputs:
    """The history's tables in an engine: `ORDER_LINES`, `CONTACTS`, `VISITS` of `experiments.history.tables`.

    Their times are UTC without a zone: engines calculate with zones differently, and many times slower.
    """

    order_lines: Table
    contacts: Table
    visits: Table


@dataclass(frozen=True, slots=True)
class Everybody:
    """Everyone of whom anything was known strictly before a moment."""

    as_of: datetime


@dataclass(frozen=True, slots=True)
class Moments:
    """A table of `customer_id` and `as_of` (UTC, without a zone): a row of features for each, all different."""

    table: Table


When = Everybody | Moments


def keys_of(when: When) -> tuple[str, ...]:
    """Return the columns that tell rows of features apart."""
    return ("customer_id",) if isinstance(when, Everybody) else ("customer_id", "as_of")


def rows_of(inputs: Inputs, when: When) -> Table:
    """Return the customers (and their moments) that features are wanted of."""
    if isinstance(when, Moments):
        return when.table.select("customer_id", "as_of")
    tables = (inputs.order_lines, inputs.contacts, inputs.visits)
    seen = [_known(table, when).select("customer_id").distinct() for table in tables]
    return ibis.union(*seen, distinct=True)


def _known(table: Table, when: When) -> Table:
    """Return the rows of a history's table from before each moment, with the moment and their `age` in seconds."""
    if isinstance(when, Everybody):
        found = table.mutate(as_of=ibis.literal(when.as_of.replace(tzinfo=None), type="timestamp(6)"))
    else:
        moments = when.table.select("customer_id", "as_of")
        found = table.join(moments, "customer_id")
    found = found.filter(found["at"] < found.as_of)
    return found.mutate(age=found.as_of.delta(found["at"], unit="second"))


def derived(inputs: Inputs, when: When) -> dict[Over, Table]:
    """Return the table of each source; all have the keys of `when`."""
    keys = keys_of(when)
    lines = _lines(inputs.order_lines, when)
    orders = _orders(lines, keys)
    return {
        Over.LINES: lines,
        Over.ORDERS: orders,
        Over.RETURNS: _returns(lines, keys),
        Over.CATEGORIES: _categories(lines, keys),
        Over.CHANNELS: _channels(orders, keys),
        Over.BRACKETS: _brackets(lines, keys),
        Over.CONTACTS: _contacts(inputs.contacts, when),
        Over.VISITS: _known(inputs.visits, when),
    }


def _micros(amount: Value) -> Value:
    return (amount * MICROS).round().cast("int64")


def _lines(order_lines: Table, when: When) -> Table:
    lines = _known(order_lines, when)
    lines = lines.filter(lines.cancelled_at.isnull() | (lines.cancelled_at >= lines.as_of))
    return lines.select(
        *keys_of(when),
        "at",
        "age",
        "order_id",
        "product",
        "variant",
        "category",
        "is_return",
        "channel",
        pieces=lines.quantity,
        micros=_micros(lines.amount),
        discount_micros=_micros(lines.discount),
        margin_micros=_micros(lines.margin),
        loyalty=lines.loyalty.cast("int8"),
    )


def _orders(lines: Table, keys: tuple[str, ...]) -> Table:
    """Return orders with their `number` from 1, and the `gap` in seconds since the order before, null for the first."""
    bought = lines.filter(~lines.is_return)
    orders = bought.group_by(*keys, "order_id").agg(
        at=bought["at"].min(),
        age=bought.age.max(),
        micros=bought.micros.sum(),
        discount_micros=bought.discount_micros.sum(),
        margin_micros=bought.margin_micros.sum(),
        pieces=bought.pieces.sum(),
        lines=bought.count(),
        channel=bought.channel.min(),
        loyalty=bought.loyalty.max(),
    )
    in_time = ibis.window(group_by=keys, order_by=["at", "order_id"])
    return orders.mutate(
        number=ibis.row_number().over(in_time) + 1,
        gap=orders.age.lag().over(in_time) - orders.age,
        is_last=orders.age.lead().over(in_time).isnull(),
        quarter=orders["at"].quarter(),
    )


def _returns(lines: Table, keys: tuple[str, ...]) -> Table:
    """Return returns (what came back of one order at one time), with the `gap` since the return before."""
    back = lines.filter(lines.is_return)
    returns = back.group_by(*keys, "order_id", "at").agg(age=back.age.max(), micros=back.micros.sum())
    in_time = ibis.window(group_by=keys, order_by=["at", "order_id"])
    return returns.mutate(gap=returns.age.lag().over(in_time) - returns.age)


def _categories(lines: Table, keys: tuple[str, ...]) -> Table:
    """Return categories with her lines in them, in all, recently and before, beside the sums over categories."""
    bought = lines.filter(~lines.is_return & lines.category.notnull())
    recent = bought.age <= RECENT
    categories = bought.group_by(*keys, "category").agg(
        lines=bought.count(), recent=recent.sum(), before=(~recent).sum()
    )
    hers = ibis.window(group_by=keys)
    return categories.mutate(
        most=categories.lines.max().over(hers),
        all_recent=categories.recent.sum().over(hers),
        all_before=categories.before.sum().over(hers),
    )


def _channels(orders: Table, keys: tuple[str, ...]) -> Table:
    known = orders.filter(orders.channel.notnull())
    channels = known.group_by(*keys, "channel").agg(orders=known.count())
    return channels.mutate(most=channels.orders.max().over(ibis.window(group_by=keys)))


def _brackets(lines: Table, keys: tuple[str, ...]) -> Table:
    """Return products of which an order held several variants; a bracket is one of which some, not all, came back.

    What comes back under an id of its own is of the last such order before it, or of any: her returns of the product
    count for every such order.
    """
    named = lines.filter(lines["product"].notnull())
    bought = named.filter(~named.is_return & named.variant.notnull())
    several = bought.group_by(*keys, "order_id", "product").agg(
        first=bought.variant.min(), last=bought.variant.max(), pieces=bought.pieces.sum()
    )
    # To know that there are several they need not be counted.
    several = several.filter(several["first"] != several["last"])
    back = named.filter(named.is_return).group_by(*keys, "product").agg(returned=_.pieces.sum())
    both = several.left_join(back, [*keys, "product"]).select(*keys, "order_id", "product", "pieces", "returned")
    is_bracket: Value | Deferred = (both.returned > 0) & (both.returned < both.pieces)
    return both.mutate(is_bracket=is_bracket.fill_null(False))


def _contacts(contacts: Table, when: When) -> Table:
    known = _known(contacts, when)
    return known.select(
        *keys_of(when),
        "age",
        "channel",
        opened=(known.opened_at < known.as_of).fill_null(False),
        clicked=(known.clicked_at < known.as_of).fill_null(False),
        converted=(known.converted_at < known.as_of).fill_null(False),
    )
