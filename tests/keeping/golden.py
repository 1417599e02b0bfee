"""Ledgers as past versions left them: today's story, taken back to the schema of then.

A version is a line in `BACK`: SQL that undoes the step after it. What a step can't get back from an older ledger is
left out of what must be equal.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from decision.flow.sweep import sweep
from decision.ledger.migrations import STEPS
from decision.ledger.sqlite import SqliteLedger
from decision.records import Reservation
from tests.support import DAY, NOW, bought, decided, programme, refunded

# To take a ledger back before a step, newest first. A new migration is one more line at the top.
BACK = {
    "m010_runs": "DROP TABLE runs; DROP INDEX profiles_by_rfm; DROP INDEX profiles_by_grid",
    "m009_profiles": "DROP TABLE profiles",
    "m008_outbox": "DROP TABLE endpoints; DROP TABLE deliveries",
    "m007_ranked_events": "; ".join(
        f"DROP TABLE ranked_{name}" for name in ("events", "open", "told", "rewards", "models")
    ),
    "m006_inbox": "DROP TABLE inbox; DROP INDEX orders_by_id",
    "m005_keys_and_audit": "DROP TABLE api_keys; DROP TABLE audit",
    "m004_shadow_prices": "DROP TABLE shadow_prices",
    "m003_when_they_came_back": "ALTER TABLE rewards DROP COLUMN first_order_at",
    "m002_each_order_once": "DROP TABLE orders; UPDATE customers SET orders = orders + 5",
}


def story(path: Path) -> None:
    """Write a small ledger: ten customers, decisions, orders, refunds, rewards, a budget."""
    ledger = SqliteLedger.create(path)
    for n in range(20):
        customer, at = f"c-{n % 10}", NOW + n * DAY
        decision = decided(decision_id=f"d-{n}", customer_id=customer, at=at, order_id=f"first-{n}")
        version = ledger.customer(customer).version
        ledger.record_decision(decision, [Reservation("b|programme", 6_000_000, None, None)], seen_version=version)
        events = [bought(at + DAY, f"o-{n}", customer_id=customer, message_id=f"m-{n}")]
        if n % 3 == 0:
            events.append(refunded(at + 2 * DAY, f"o-{n}", customer_id=customer, message_id=f"r-{n}"))
        ledger.record_outcomes(events, now=at)
    sweep(programme=programme(), ledger=ledger, now=NOW + 50 * DAY)
    ledger.close()


def as_of(path: Path, last: str) -> None:
    """Write the story with the schema that `last` was the newest step of."""
    story(path)
    with closing(sqlite3.connect(path)) as ledger:
        for step in STEPS[: STEPS.index(last) : -1]:
            ledger.executescript(BACK[step])
            ledger.execute("DELETE FROM _sqlite_migrations WHERE name = ?", [step])
        ledger.commit()
