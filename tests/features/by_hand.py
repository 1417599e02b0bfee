"""Every feature once more, in plain Python over the rows of one customer: slow, and easy to believe."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median, stdev
from typing import Any

from experiments.history.tables import History

Record = dict[str, Any]
Values = dict[str, float | str | None]


def by_hand(history: History, customer_id: str, as_of: datetime) -> Values:
    """Return all features of one customer as of a moment."""
    lines, contacts, visits = (
        [row for row in table.to_pylist() if row["customer_id"] == customer_id and row["at"] < as_of]
        for table in (history.order_lines, history.contacts, history.visits)
    )
    lines = [row for row in lines if row["cancelled_at"] is None or row["cancelled_at"] >= as_of]
    bought = [row for row in lines if not row["is_return"]]
    back = [row for row in lines if row["is_return"]]
    orders = orders_of(bought)
    return {
        **timing(orders, as_of),
        **spending(orders, lines, as_of),
        **returning(orders, bought, back, as_of),
        **variety(bought, as_of),
        **reach(orders, contacts, visits, as_of),
    }


def age(at: datetime, as_of: datetime) -> float:
    """Days between two times, each cut to whole seconds."""
    return (as_of.replace(microsecond=0) - at.replace(microsecond=0)) / timedelta(days=1)


def orders_of(bought: list[Record]) -> list[Record]:
    grouped: dict[str, list[Record]] = defaultdict(list)
    for row in bought:
        grouped[row["order_id"]].append(row)
    orders = [
        {
            "order_id": order_id,
            "at": min(row["at"] for row in rows),
            "amount": sum(row["amount"] for row in rows),
            "discount": sum(row["discount"] for row in rows),
            "margins": [row["margin"] for row in rows if row["margin"] is not None],
            "pieces": sum(row["quantity"] for row in rows),
            "lines": len(rows),
            "channel": min((row["channel"] for row in rows if row["channel"]), default=None),
            "loyalty": [row["loyalty"] for row in rows if row["loyalty"] is not None],
        }
        for order_id, rows in grouped.items()
    ]
    return sorted(orders, key=lambda order: (order["at"], order["order_id"]))


def ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def timing(orders: list[Record], as_of: datetime) -> Values:
    ages = [age(order["at"], as_of) for order in orders]
    gaps = [before - after for before, after in pairwise(ages)]
    n = len(orders)
    recency, tenure = (ages[-1], ages[0]) if orders else (None, None)
    mean = sum(gaps) / len(gaps) if gaps else None
    middle = median(gaps) if gaps else None
    minutes = [math.floor(gap * 1440 + 1e-9) for gap in gaps]
    spread = stdev(minutes) / 1440 if len(gaps) > 1 else None
    found: Values = {
        "recency_days": recency,
        "tenure_days": tenure,
        "orders": n,
        **{f"orders_{d}d": sum(a <= d for a in ages) for d in (30, 90, 180, 365)},
        "orders_per_year": None if tenure is None else (n - 1) * 365 / max(tenure, 1),
        "gap_mean_days": mean,
        "gap_median_days": middle,
        "gap_spread_days": spread,
        "gap_shortest_days": min(gaps, default=None),
        "gap_longest_days": max(gaps, default=None),
        "first_gap_days": gaps[0] if gaps else None,
        "last_gap_days": gaps[-1] if gaps else None,
        "gap_variation": ratio(spread, mean) if spread is not None and mean is not None else None,
        "last_gap_against_habit": gaps[-1] / max(middle, 1) if middle is not None else None,
        "recency_against_habit": None if middle is None or recency is None else recency / max(middle, 1),
        "recency_in_spreads": None
        if spread is None or recency is None or mean is None
        else (recency - mean) / max(spread, 1),
        "next_order_due_days": None if middle is None or recency is None else middle - recency,
    }
    for quarter in (1, 2, 3, 4):
        hers = sum((order["at"].month - 1) // 3 + 1 == quarter for order in orders)
        found[f"quarter_{quarter}_share"] = ratio(hers, n)
    season = [a for a in ages if a > 320 and (a % 365 <= 45 or a % 365 >= 320)]
    found["this_season_share"] = ratio(len(season), n)
    return found


def spending(orders: list[Record], lines: list[Record], as_of: datetime) -> Values:
    amounts = [order["amount"] for order in orders]
    n, total = len(orders), sum(amounts)
    year = [order for order in orders if age(order["at"], as_of) <= 365]
    margins = [margin for order in orders for margin in order["margins"]]
    discount = sum(order["discount"] for order in orders)
    known = [any(order["loyalty"]) for order in orders if order["loyalty"]]
    return {
        "revenue": total,
        "revenue_365d": sum(order["amount"] for order in year),
        "revenue_kept": sum(row["amount"] for row in lines),
        "margin": sum(margins) if margins else None,
        "basket_mean": ratio(total, n),
        "basket_median": median(amounts) if amounts else None,
        "basket_largest": max(amounts, default=None),
        "basket_first": amounts[0] if amounts else None,
        "basket_last": amounts[-1] if amounts else None,
        "basket_last_against_mean": ratio(amounts[-1], total / n) if amounts else None,
        "basket_pieces": ratio(sum(order["pieces"] for order in orders), n),
        "basket_lines": ratio(sum(order["lines"] for order in orders), n),
        "discount_share": ratio(discount, total + discount),
        "discounted_orders_share": ratio(sum(order["discount"] > 0 for order in orders), n),
        "loyalty_share": ratio(sum(known), len(known)),
        "loyalty_orders_365d": sum(any(order["loyalty"]) for order in year),
    }


def returning(orders: list[Record], bought: list[Record], back: list[Record], as_of: datetime) -> Values:
    times = sorted({(row["at"], row["order_id"]) for row in back})
    ages = [age(at, as_of) for at, _ in times]
    value = -sum(row["amount"] for row in back)
    variants = sum(row["variant"] is not None for row in bought)
    bracketed = len(brackets(bought, back))
    return {
        "returns": len(times),
        "returns_90d": sum(a <= 90 for a in ages),
        "return_recency_days": min(ages, default=None),
        "return_rate": ratio(sum(r["quantity"] for r in back), sum(r["quantity"] for r in bought)),
        "return_value_rate": ratio(value, sum(row["amount"] for row in bought)),
        "returned_value": value,
        "returns_per_order": ratio(len(times), len(orders)),
        "serial_returns": sum(before - after <= 30 for before, after in pairwise(ages)),
        "variants_known_share": ratio(variants, len(bought)),
        "bracketed_orders": bracketed,
        "bracketing_rate": bracketed / len(orders) if variants else None,
    }


def brackets(bought: list[Record], back: list[Record]) -> set[str]:
    returned: Counter[str] = Counter()
    for row in back:
        returned[row["product"]] += row["quantity"]
    found = set()
    for key in {(row["order_id"], row["product"]) for row in bought if row["product"] and row["variant"]}:
        rows = [row for row in bought if (row["order_id"], row["product"]) == key and row["variant"]]
        pieces = sum(row["quantity"] for row in rows)
        if len({row["variant"] for row in rows}) > 1 and 0 < returned[key[1]] < pieces:
            found.add(key[0])
    return found


def variety(bought: list[Record], as_of: datetime) -> Values:
    products = [row["product"] for row in bought if row["product"] is not None]
    named = [row for row in bought if row["category"] is not None]
    lines = Counter(row["category"] for row in named)
    recent = Counter(row["category"] for row in named if age(row["at"], as_of) <= 90)
    before = lines - recent
    n, r, b = len(named), recent.total(), before.total()
    drift = sum(abs(recent[c] / r - before[c] / b) for c in lines) / 2 if r and b else None
    return {
        "products": len(set(products)),
        "product_repeat_share": 1 - len(set(products)) / len(products) if products else None,
        "categories": len(lines),
        "main_category": min(lines, key=lambda c: (-lines[c], c), default=None),
        "main_category_share": max(lines.values()) / n if n else None,
        "category_concentration": sum((m / n) ** 2 for m in lines.values()) if n else None,
        "category_drift": drift,
    }


def reach(orders: list[Record], contacts: list[Record], visits: list[Record], as_of: datetime) -> Values:
    channels = Counter(order["channel"] for order in orders if order["channel"])
    ages = [age(row["at"], as_of) for row in contacts]
    seen = [age(row["at"], as_of) for row in visits]

    def rate(name: str, among: list[Record]) -> float | None:
        return ratio(sum(row[name] is not None and row[name] < as_of for row in among), len(among))

    found: Values = {
        "main_channel": min(channels, key=lambda c: (-channels[c], c), default=None),
        "main_channel_share": max(channels.values()) / channels.total() if channels else None,
        "contacts": len(contacts),
        "contacts_30d": sum(a <= 30 for a in ages),
        "contact_recency_days": min(ages, default=None),
        "response_rate": rate("converted_at", contacts),
        "open_rate": rate("opened_at", contacts),
        "click_rate": rate("clicked_at", contacts),
        "visits": len(visits),
        "visit_days_30d": len({math.floor(a) for a in seen if a <= 30}),
        "visit_recency_days": min(seen, default=None),
    }
    for channel in ("on_page", "email", "sms", "web_push"):
        through = [row for row in contacts if row["channel"] == channel]
        found[f"response_rate_{channel}"] = rate("converted_at", through)
    return found
