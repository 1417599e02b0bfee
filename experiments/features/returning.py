"""What she sends back: rate and value, series of returns, bracketing (several sizes bought, some of them returned)."""

from __future__ import annotations

from typing import Any

from experiments.features.feature import DAY, Feature, Over, count_of, days, money, share
from experiments.features.timing import NO_ORDER

NO_RETURN = "nothing was returned"
SERIES = 30 * DAY


def _pieces_back(lines: Any) -> Any:
    return share(lines.pieces.sum(where=lines.is_return).fill_null(0), lines.pieces.sum(where=~lines.is_return))


def _value_back(lines: Any) -> Any:
    bought = lines.micros.sum(where=~lines.is_return)
    return share(-lines.micros.sum(where=lines.is_return).fill_null(0), bought)


RETURNING = (
    count_of("returns", "Returns, as many as parcels came back.", Over.RETURNS, lambda back: back.count(), "returns"),
    count_of(
        "returns_90d",
        "Returns in the last 90 days.",
        Over.RETURNS,
        lambda back: (back.age <= 90 * DAY).sum(),
        "returns",
    ),
    Feature(
        "return_recency_days",
        "Time since her last return.",
        "days",
        NO_RETURN,
        Over.RETURNS,
        lambda back: days(back.age.min()),
    ),
    Feature(
        "return_rate",
        "Pieces that came back by pieces bought; above 1 where orders before the history came back.",
        "ratio",
        NO_ORDER,
        Over.LINES,
        _pieces_back,
    ),
    Feature(
        "return_value_rate",
        "Money paid back for returns by net revenue of orders.",
        "ratio",
        f"{NO_ORDER}, or paid nothing",
        Over.LINES,
        _value_back,
    ),
    Feature(
        "returned_value",
        "Money paid back for returns.",
        "currency",
        "never",
        Over.RETURNS,
        lambda back: money(-back.micros.sum()),
        absent=0,
    ),
    Feature(
        "returns_per_order",
        "Returns by orders.",
        "ratio",
        NO_ORDER,
        Over.ROW,
        lambda row: share(row.returns, row.orders),
    ),
    count_of(
        "serial_returns",
        "Returns that came within 30 days of the return before.",
        Over.RETURNS,
        lambda back: (back.gap <= SERIES).fill_null(False).sum(),
        "returns",
    ),
    Feature(
        "variants_known_share",
        "Share of the lines she bought whose size or variant is known.",
        "share",
        NO_ORDER,
        Over.LINES,
        lambda lines: share((lines.variant.notnull() & ~lines.is_return).sum(), (~lines.is_return).sum()),
    ),
    count_of(
        "bracketed_orders",
        "Orders with several sizes or variants of a product of which some, not all, came back.",
        Over.BRACKETS,
        lambda brackets: brackets.order_id.nunique(where=brackets.is_bracket),
    ),
    Feature(
        "bracketing_rate",
        "Share of her orders that were bracketed.",
        "share",
        "no size or variant of what she bought is known",
        Over.ROW,
        lambda row: (row.variants_known_share > 0).ifelse(share(row.bracketed_orders, row.orders), None),
    ),
)
