"""The same table of features in pandas, vectorised, as one would write it: what Encore is measured beside.

python -m experiments.bench.features.by_pandas LINES.parquet AS_OF OUT.parquet
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.bench.features.measured import measured
from experiments.features.feature import DAY, YEAR

SEASON, SERIES, RECENT = 45 * DAY, 30 * DAY, 90 * DAY
HER = "customer_id"


def compute(lines_path: Path, as_of: datetime, out: Path) -> None:
    """Read order lines, write the features that are made of them."""
    lines = pd.read_parquet(lines_path, columns=_COLUMNS)
    moment = pd.Timestamp(as_of)
    lines = lines[lines["at"] < moment]
    everybody = pd.Index(lines[HER].unique(), name=HER)
    lines = lines[~(lines["cancelled_at"] < moment)].drop(columns="cancelled_at")
    lines["age"] = int(moment.timestamp()) - lines["at"].astype("int64") // 1_000_000
    bought, back = lines[~lines["is_return"]], lines[lines["is_return"]]
    orders = _orders(bought)
    parts = [
        _timing(orders),
        _spending(orders, lines),
        _returning(bought, back),
        _variety(bought),
        _channels(orders),
    ]
    table = pd.concat([part.reindex(everybody) for part in parts], axis=1)
    _over_rows(table)
    table.insert(0, "as_of", moment)
    table.to_parquet(out)


_COLUMNS = [
    HER,
    "order_id",
    "at",
    "product",
    "variant",
    "category",
    "quantity",
    "amount",
    "discount",
    "margin",
    "is_return",
    "channel",
    "loyalty",
    "cancelled_at",
]


def _orders(bought: pd.DataFrame) -> pd.DataFrame:
    orders = (
        bought.groupby([HER, "order_id"], sort=False)
        .agg(
            at=("at", "min"),
            age=("age", "max"),
            amount=("amount", "sum"),
            discount=("discount", "sum"),
            margin=("margin", "sum"),
            margins=("margin", "count"),
            pieces=("quantity", "sum"),
            lines=("quantity", "size"),
            channel=("channel", "min"),
            loyalty=("loyalty", "max"),
        )
        .reset_index()
        .sort_values([HER, "at", "order_id"])
    )
    hers = orders.groupby(HER, sort=False)
    orders["number"] = hers.cumcount() + 1
    orders["gap"] = hers["age"].shift() - orders["age"]
    orders["is_last"] = ~orders.duplicated(HER, keep="last")
    return orders


def _timing(orders: pd.DataFrame) -> pd.DataFrame:
    phase = orders["age"] % YEAR
    in_season = (orders["age"] > YEAR - SEASON) & ((phase <= SEASON) | (phase >= YEAR - SEASON))
    flags = {f"orders_{n}d": orders["age"] <= n * DAY for n in (30, 90, 180, 365)}
    flags |= {f"quarter_{n}_share": orders["at"].dt.quarter == n for n in (1, 2, 3, 4)}
    flags["this_season_share"] = in_season
    minutes = orders["gap"] // 60
    marked = orders[[HER, "age", "gap"]].assign(minutes=minutes, **flags)
    hers = marked.groupby(HER, sort=False)
    sums = hers[list(flags)].sum()
    ages, gaps = hers["age"].agg(["min", "max", "count"]), hers["gap"].agg(["mean", "median", "min", "max"]) / DAY
    found = pd.DataFrame(
        {
            "recency_days": ages["min"] / DAY,
            "tenure_days": ages["max"] / DAY,
            "orders": ages["count"],
            **{name: sums[name] for name in flags if name.startswith("orders")},
            "gap_mean_days": gaps["mean"],
            "gap_median_days": gaps["median"],
            "gap_spread_days": hers["minutes"].std() / (DAY // 60),
            "gap_shortest_days": gaps["min"],
            "gap_longest_days": gaps["max"],
            **{name: sums[name] / ages["count"] for name in flags if name.endswith("share")},
        }
    )
    found["first_gap_days"] = orders[orders["number"] == 2].set_index(HER)["gap"] / DAY
    found["last_gap_days"] = orders[orders["is_last"]].set_index(HER)["gap"] / DAY
    return found


def _spending(orders: pd.DataFrame, lines: pd.DataFrame) -> pd.DataFrame:
    year = orders["age"] <= YEAR
    member = orders["loyalty"] == True  # noqa: E712
    marked = orders.assign(
        year=orders["amount"].where(year, 0.0),
        discounted=orders["discount"] > 0,
        member=member,
        member_year=member & year,
        known=orders["loyalty"].notna(),
    )
    hers = marked.groupby(HER, sort=False)
    columns = ["amount", "year", "discount", "discounted", "margin", "margins", "pieces", "lines"]
    sums = hers[[*columns, "member", "member_year", "known"]].sum()
    n, baskets = hers.size(), hers["amount"].agg(["mean", "median", "max"])
    return pd.DataFrame(
        {
            "revenue": sums["amount"],
            "revenue_365d": sums["year"],
            "revenue_kept": lines.groupby(HER, sort=False)["amount"].sum(),
            "margin": sums["margin"].where(sums["margins"] > 0),
            "basket_mean": baskets["mean"],
            "basket_median": baskets["median"],
            "basket_largest": baskets["max"],
            "basket_first": orders[orders["number"] == 1].set_index(HER)["amount"],
            "basket_last": orders[orders["is_last"]].set_index(HER)["amount"],
            "basket_pieces": sums["pieces"] / n,
            "basket_lines": sums["lines"] / n,
            "discount_share": _share(sums["discount"], sums["amount"] + sums["discount"]),
            "discounted_orders_share": sums["discounted"] / n,
            "loyalty_share": _share(sums["member"], sums["known"]),
            "loyalty_orders_365d": sums["member_year"],
        }
    )


def _returning(bought: pd.DataFrame, back: pd.DataFrame) -> pd.DataFrame:
    returns = (
        back.groupby([HER, "order_id", "at"], sort=False)
        .agg(age=("age", "max"), amount=("amount", "sum"))
        .reset_index()
        .sort_values([HER, "at", "order_id"])
    )
    gap = returns.groupby(HER, sort=False)["age"].shift() - returns["age"]
    returns = returns.assign(recent=returns["age"] <= RECENT, serial=gap <= SERIES)
    hers = returns.groupby(HER, sort=False)
    sums = hers[["recent", "serial", "amount"]].sum()
    sold = bought.assign(named=bought["variant"].notna()).groupby(HER, sort=False)
    sales, named = sold[["quantity", "amount"]].sum(), sold["named"].mean()
    pieces_back = back.groupby(HER, sort=False)["quantity"].sum().reindex(sales.index, fill_value=0)
    value_back = -sums["amount"].reindex(sales.index, fill_value=0.0)
    everybody = sales.index.union(sums.index)
    return pd.DataFrame(
        {
            "returns": hers.size(),
            "returns_90d": sums["recent"],
            "return_recency_days": hers["age"].min() / DAY,
            "return_rate": pieces_back / sales["quantity"],
            "return_value_rate": _share(value_back, sales["amount"]),
            "returned_value": -sums["amount"],
            "serial_returns": sums["serial"],
            "variants_known_share": named,
            "bracketed_orders": _bracketed(bought, back),
        },
        index=everybody,
    )


def _bracketed(bought: pd.DataFrame, back: pd.DataFrame) -> pd.Series:
    named = bought[bought["variant"].notna() & bought["product"].notna()]
    several = named.groupby([HER, "order_id", "product"], sort=False).agg(
        variants=("variant", "nunique"), pieces=("quantity", "sum")
    )
    several = several[several["variants"] > 1].reset_index()
    returned = back.groupby([HER, "product"], sort=False)["quantity"].sum().rename("returned").reset_index()
    both = several.merge(returned, on=[HER, "product"])
    brackets = both[both["returned"] < both["pieces"]]
    return brackets.groupby(HER, sort=False)["order_id"].nunique()


def _variety(bought: pd.DataFrame) -> pd.DataFrame:
    recent = bought["age"] <= RECENT
    categories = (
        bought.assign(recent=recent, before=~recent)
        .groupby([HER, "category"], sort=False)
        .agg(lines=("recent", "size"), recent=("recent", "sum"), before=("before", "sum"))
        .reset_index()
    )
    hers = categories.groupby(HER, sort=False)
    totals = hers[["lines", "recent", "before"]].transform("sum")
    moved = (categories["recent"] / totals["recent"] - categories["before"] / totals["before"]).abs()
    marked = categories.assign(squares=(categories["lines"] / totals["lines"]) ** 2, moved=moved)
    sums = marked.groupby(HER, sort=False)[["lines", "squares", "moved", "recent", "before"]].sum()
    first = categories.sort_values([HER, "lines", "category"], ascending=[True, False, True]).drop_duplicates(HER)
    first = first.set_index(HER)
    sold = bought.groupby(HER, sort=False)["product"]
    products, known = sold.nunique(), sold.count()
    return pd.DataFrame(
        {
            "products": products,
            "product_repeat_share": 1 - _share(products, known),
            "categories": hers.size(),
            "main_category": first["category"],
            "main_category_share": first["lines"] / sums["lines"],
            "category_concentration": sums["squares"],
            "category_drift": (sums["moved"] / 2).where((sums["recent"] > 0) & (sums["before"] > 0)),
        }
    )


def _channels(orders: pd.DataFrame) -> pd.DataFrame:
    known = orders[orders["channel"].notna()]
    channels = known.groupby([HER, "channel"], sort=False).size().rename("orders").reset_index()
    first = channels.sort_values([HER, "orders", "channel"], ascending=[True, False, True]).drop_duplicates(HER)
    first = first.set_index(HER)
    totals = channels.groupby(HER, sort=False)["orders"].sum()
    return pd.DataFrame({"main_channel": first["channel"], "main_channel_share": first["orders"] / totals})


def _over_rows(table: pd.DataFrame) -> None:
    """Fill what is never null, and add what is made of other features."""
    table[_COUNTS] = table[_COUNTS].fillna(0)
    gap, spread = table["gap_median_days"].clip(lower=1), table["gap_spread_days"].clip(lower=1)
    table["orders_per_year"] = (table["orders"] - 1) * 365 / table["tenure_days"].clip(lower=1)
    table["gap_variation"] = _share(table["gap_spread_days"], table["gap_mean_days"])
    table["last_gap_against_habit"] = table["last_gap_days"] / gap
    table["recency_against_habit"] = table["recency_days"] / gap
    table["recency_in_spreads"] = (table["recency_days"] - table["gap_mean_days"]) / spread
    table["next_order_due_days"] = table["gap_median_days"] - table["recency_days"]
    table["basket_last_against_mean"] = _share(table["basket_last"], table["basket_mean"])
    table["returns_per_order"] = _share(table["returns"], table["orders"])
    bracketed = _share(table["bracketed_orders"], table["orders"])
    table["bracketing_rate"] = bracketed.where(table["variants_known_share"] > 0)


_COUNTS = [
    "orders",
    *(f"orders_{n}d" for n in (30, 90, 180, 365)),
    *("revenue", "revenue_365d", "revenue_kept", "loyalty_orders_365d"),
    *("returns", "returns_90d", "returned_value", "serial_returns", "bracketed_orders"),
    *("products", "categories"),
]


def _share(part: Any, whole: Any) -> Any:
    return (part / whole).where(whole != 0)


if __name__ == "__main__":
    measured(compute)
