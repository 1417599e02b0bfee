"""Everything that a ledger holds about one person, as she may ask for it (GDPR, article 15)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from decision.ledger.codec import DECISION_COLUMNS, REWARD_COLUMNS, decision_of, from_us, reward_of
from decision.ledger.connection import Connections
from decision.ledger.profiles import SqliteProfiles
from decision.ledger.sqlite import SqliteLedger

_START, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_HERS = "SELECT decision_id FROM decisions WHERE customer_id = ?"


def about(path: Path, customer_id: str) -> dict[str, Any]:
    """Return profile, orders, events, what was worked out of them, and decisions with what they brought and hold.

    All are empty where there are none.
    """
    ledger = SqliteLedger(path)
    profile = ledger.customer(customer_id)
    connections = Connections(path, durable=True)
    db = connections.db
    try:
        decisions = db.execute(
            f"SELECT {DECISION_COLUMNS} FROM decisions WHERE customer_id = ? ORDER BY decided_at", [customer_id]
        )
        rewards = db.execute(f"SELECT {REWARD_COLUMNS} FROM rewards WHERE decision_id IN ({_HERS})", [customer_id])
        held = db.execute(f"SELECT * FROM reservations WHERE decision_id IN ({_HERS})", [customer_id])
        told = db.execute(f"SELECT * FROM deliveries WHERE decision_id IN ({_HERS})", [customer_id])
        waiting = db.execute(
            "SELECT * FROM inbox WHERE customer_id = ?1 "
            "OR order_id IN (SELECT order_id FROM orders WHERE customer_id = ?1)",
            [customer_id],
        )
        orders = db.execute("SELECT * FROM orders WHERE customer_id = ?", [customer_id])
        worked_out = SqliteProfiles(connections).of(customer_id)
        events = ledger.outcomes_of(customer_id, start=_START, end=_END)
        return {
            "profile": None if profile.version == 0 and not (profile.orders or profile.consent) else profile,
            "decisions": [decision_of(row) for row in decisions],
            "rewards": [reward_of(row) for row in rewards],
            "reservations": _named(held),
            "deliveries": _named(told),
            "inbox": _named(waiting),
            "orders": _named(orders),
            "worked_out": worked_out if worked_out.sources else None,
            "events": events,
        }
    finally:
        connections.close()
        ledger.close()


def _named(cursor: Any) -> list[dict[str, Any]]:
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return [
        {name: from_us(v) if name.endswith("_at") and v is not None else v for name, v in row.items()} for row in rows
    ]
