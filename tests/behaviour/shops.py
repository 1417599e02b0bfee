"""Shops made for tests: order lines of customers whose rhythm is known."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import numpy as np

from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History, Rows

OPENED = datetime(2025, 1, 1, 12, tzinfo=UTC)


def history(purchases: Iterable[tuple[str, int, float]], returns: Iterable[tuple[str, int, float]] = ()) -> History:
    """Return a history of (customer, day since the shop opened, amount), and of what came back."""
    lines = Rows(ORDER_LINES)
    for kind, records in ((False, purchases), (True, returns)):
        for n, (customer, day, amount) in enumerate(records):
            at, signed = OPENED + timedelta(days=day), -amount if kind else amount
            lines.add(customer, f"{kind}-{n}", at, "thing", None, None, 1, signed, 0.0, None, kind)
    return History(lines.table(), Rows(CONTACTS).table(), Rows(VISITS).table())


def shop(customers: int, days: int, *, seed: int) -> History:
    """Return a shop whose customers come one by one and buy at gamma-distributed rates; a third buys once and goes."""
    rng = np.random.default_rng(seed)
    bought = []
    for c in range(customers):
        day = float(rng.integers(0, days - 20))
        gap = float(rng.gamma(2.0, 20.0)) + 5.0
        stays = rng.random() > 1 / 3
        while day < days:
            bought.append((f"c{c:04d}", int(day), float(rng.lognormal(3.0, 0.5))))
            if not stays:
                break
            day += float(rng.exponential(gap))
            stays = rng.random() > 0.05
    return history(bought)


def two_rhythms(customers: int, days: int, *, seed: int) -> History:
    """Return a shop of `filter…` customers, who buy every month, and `machine…` ones, who buy twice a year."""
    rng = np.random.default_rng(seed)
    bought = []
    for c in range(customers):
        name, gap = (f"filter{c}", 30.0) if c % 2 else (f"machine{c}", 180.0)
        day = float(rng.uniform(0, gap))
        leaves = days * float(rng.uniform(0.3, 2.0))
        while day < min(days, leaves):
            bought.append((name, int(day), 20.0))
            day += gap * float(rng.lognormal(0.0, 0.2))
    return history(bought)
