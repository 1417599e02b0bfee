"""When she buys: recency, frequency, gaps against her own habit, tenure, seasons."""

from __future__ import annotations

from typing import Any

from experiments.features.feature import DAY, YEAR, Feature, Over, count_of, days, share

NO_ORDER = "she has not ordered"
ONE_ORDER = "she has ordered once at most"
TWO_ORDERS = "she has ordered twice at most"
SEASON = 45 * DAY


def _spread(orders: Any) -> Any:
    """Return the sample standard deviation of gaps in days, from whole minutes: exact sums in any order."""
    minutes = orders.gap // 60
    n, total, squares = minutes.count(), minutes.sum(), (minutes * minutes).sum()
    # The centre times n: whole numbers until the end, so that equal gaps have a spread of 0.
    return (share(n * squares - total * total, n * (n - 1))).sqrt() / (DAY // 60)


def _in_season(orders: Any) -> Any:
    phase = orders.age % YEAR
    return (orders.age > YEAR - SEASON) & ((phase <= SEASON) | (phase >= YEAR - SEASON))


def _a_day_at_least(value: Any) -> Any:
    """Return a time in days that something is divided by: two orders within minutes are no habit."""
    return (value < 1).ifelse(1.0, value)


def _within(n_days: int) -> Feature:
    return count_of(
        f"orders_{n_days}d",
        f"Orders in the last {n_days} days.",
        Over.ORDERS,
        lambda orders: (orders.age <= n_days * DAY).sum(),
    )


def _quarter(n: int) -> Feature:
    return Feature(
        f"quarter_{n}_share",
        f"Share of her orders that she placed in quarter {n} of a year (UTC).",
        "share",
        NO_ORDER,
        Over.ORDERS,
        lambda orders: (orders.quarter == n).sum() / orders.count(),
    )


TIMING = (
    Feature(
        "recency_days",
        "Time since her last order.",
        "days",
        NO_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.age.min()),
    ),
    Feature(
        "tenure_days",
        "Time since her first order.",
        "days",
        NO_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.age.max()),
    ),
    count_of("orders", "Orders that were not cancelled.", Over.ORDERS, lambda orders: orders.count()),
    *(_within(n) for n in (30, 90, 180, 365)),
    Feature(
        "orders_per_year",
        "Orders after the first, per year since the first.",
        "orders a year",
        NO_ORDER,
        Over.ROW,
        lambda row: (row.orders - 1) * 365 / _a_day_at_least(row.tenure_days),
    ),
    Feature(
        "gap_mean_days",
        "Mean time between orders.",
        "days",
        ONE_ORDER,
        Over.ORDERS,
        lambda orders: days(share(orders.gap.sum(), orders.gap.count())),
    ),
    Feature(
        "gap_median_days",
        "Median time between orders.",
        "days",
        ONE_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.gap.median()),
    ),
    Feature(
        "gap_spread_days", "Standard deviation of the time between orders.", "days", TWO_ORDERS, Over.ORDERS, _spread
    ),
    Feature(
        "gap_shortest_days",
        "Shortest time between two orders.",
        "days",
        ONE_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.gap.min()),
    ),
    Feature(
        "gap_longest_days",
        "Longest time between two orders.",
        "days",
        ONE_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.gap.max()),
    ),
    Feature(
        "first_gap_days",
        "Time from her first to her second order.",
        "days",
        ONE_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.gap.max(where=orders.number == 2)),
    ),
    Feature(
        "last_gap_days",
        "Time between her last two orders.",
        "days",
        ONE_ORDER,
        Over.ORDERS,
        lambda orders: days(orders.gap.max(where=orders.is_last)),
    ),
    Feature(
        "gap_variation",
        "Spread of gaps by their mean: 0 is clockwork.",
        "ratio",
        f"{TWO_ORDERS}, or always at one moment",
        Over.ROW,
        lambda row: share(row.gap_spread_days, row.gap_mean_days),
    ),
    Feature(
        "last_gap_against_habit",
        "Her last gap by her median gap (of a day at least): above 1 she is slowing down.",
        "ratio",
        ONE_ORDER,
        Over.ROW,
        lambda row: row.last_gap_days / _a_day_at_least(row.gap_median_days),
    ),
    Feature(
        "recency_against_habit",
        "Time since her last order by her median gap (of a day at least): above 1 she is late by her own habit.",
        "ratio",
        ONE_ORDER,
        Over.ROW,
        lambda row: row.recency_days / _a_day_at_least(row.gap_median_days),
    ),
    Feature(
        "recency_in_spreads",
        "How far the time since her last order is above her mean gap, by their spread (of a day at least).",
        "spreads",
        TWO_ORDERS,
        Over.ROW,
        lambda row: (row.recency_days - row.gap_mean_days) / _a_day_at_least(row.gap_spread_days),
    ),
    Feature(
        "next_order_due_days",
        "Days until her next order is due by her median gap; below 0 it is overdue.",
        "days",
        ONE_ORDER,
        Over.ROW,
        lambda row: row.gap_median_days - row.recency_days,
    ),
    *(_quarter(n) for n in (1, 2, 3, 4)),
    Feature(
        "this_season_share",
        "Share of her orders from past years' 45 days before and after this day of the year.",
        "share",
        NO_ORDER,
        Over.ORDERS,
        lambda orders: _in_season(orders).sum() / orders.count(),
    ),
)
