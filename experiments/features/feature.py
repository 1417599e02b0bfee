"""What a feature is: a named, described expression over one of the tables that `sources` derives from the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

DAY = 86_400
YEAR = 365 * DAY
# Ibis' types say nothing of which columns a table has, and this module must load without it.
Expression = Callable[[Any], Any]


class Over(StrEnum):
    """The tables, one row for each of what they are named after; `row` is what the others gave."""

    LINES = "lines"
    ORDERS = "orders"
    RETURNS = "returns"
    CATEGORIES = "categories"
    CHANNELS = "channels"
    BRACKETS = "brackets"
    CONTACTS = "contacts"
    VISITS = "visits"
    ROW = "row"


@dataclass(frozen=True, slots=True)
class Feature:
    """A fact of a customer's behaviour as of a moment.

    `expression` takes the table named by `over` and returns an aggregate over a customer's rows of it; over `ROW`, a
    value from features over other tables. `null` says what it means that there is none. `absent`
    is the value of a customer without any row. `kind` is number or category, as of features in `programme.toml`.
    """

    name: str
    description: str
    unit: str
    null: str
    over: Over
    expression: Expression
    absent: int | None = None
    kind: str = "number"


def money(micros: Any) -> Any:
    """Return whole micros in units of currency. Sums are taken of whole numbers: so their order changes no bit."""
    return micros / 1_000_000


def days(seconds: Any) -> Any:
    """Return seconds in days."""
    return seconds / DAY


def share(part: Any, whole: Any) -> Any:
    """Return a part of a whole, null where the whole is nothing."""
    return part / whole.nullif(0)


def count_of(name: str, description: str, over: Over, expression: Expression, unit: str = "orders") -> Feature:
    """Return a feature that counts: nothing is 0, never null."""
    return Feature(name, description, unit, "never", over, expression, absent=0)
