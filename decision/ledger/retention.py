"""Rows that are older than the shop keeps them are removed, a bounded part in each transaction.

What can still change stays, whatever its age: see the conditions. The newest row of a numbered table stays as well:
SQLite would give its number away again, and cursors would pass over the row that gets it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decision.ledger.connection import Connections

# One transaction removes so many rows: the till waits for it.
BATCH = 500
# Decisions older than this second may be missing: what was learned from them can't be learned anew.
GONE = "retention:decisions"


@dataclass(frozen=True, slots=True)
class Kind:
    """What goes: rows of a table under a condition, and with each what other tables hold of it.

    `parts` are pairs of a table and a condition on it, with the key of the removed row as `?`.
    """

    table: str
    key: str
    condition: str
    parts: tuple[tuple[str, str], ...] = ()


_HERS = "decision_id = (SELECT decision_id FROM decisions WHERE seq = ?)"
KINDS: Mapping[str, Kind] = {
    "decisions": Kind(
        "decisions",
        "seq",
        "t.decided_at < :before AND t.seq < (SELECT MAX(seq) FROM decisions) "
        "AND t.seq NOT IN (SELECT seq FROM unfinished) "
        "AND NOT EXISTS (SELECT 1 FROM reservations r WHERE r.decision_id = t.decision_id AND (r.open OR "
        "(t.matures_at >= :settled AND r.budget_key IN (SELECT value FROM json_each(:budgets))))) "
        "AND NOT EXISTS (SELECT 1 FROM rewards r WHERE r.decision_id = t.decision_id "
        "AND r.seq = (SELECT MAX(seq) FROM rewards)) "
        "AND NOT EXISTS (SELECT 1 FROM deliveries x WHERE x.decision_id = t.decision_id "
        "AND (x.state = 'waiting' OR x.seq = (SELECT MAX(seq) FROM deliveries)))",
        (("rewards", _HERS), ("reservations", _HERS), ("deliveries", _HERS)),
    ),
    # A late refund makes a reward anew from all events of its time: they stay as long as the decision.
    "events": Kind(
        "outcomes",
        "seq",
        "t.occurred_at < :before AND t.received_at < :before AND t.seq < (SELECT MAX(seq) FROM outcomes) "
        "AND t.seq <= COALESCE((SELECT position FROM cursors WHERE name = 'rewards'), 0) "
        "AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.customer_id = t.customer_id "
        "AND d.decided_at < t.occurred_at AND d.matures_at + :late >= t.occurred_at)",
    ),
    # Who has said no to a channel is remembered.
    "customers": Kind(
        "customers",
        "customer_id",
        "COALESCE(t.last_order_at, 0) < :before "
        "AND NOT EXISTS (SELECT 1 FROM decisions d WHERE d.customer_id = t.customer_id) "
        "AND NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.customer_id = t.customer_id) "
        "AND NOT EXISTS (SELECT 1 FROM json_each(t.consent) c "
        "WHERE NOT json_extract(c.value, '$[0]') OR json_extract(c.value, '$[1]') >= :before)",
        (("orders", "customer_id = ?"), ("profiles", "customer_id = ?")),
    ),
    "deliveries": Kind(
        "deliveries",
        "seq",
        "t.changed_at < :before AND t.state != 'waiting' AND t.seq < (SELECT MAX(seq) FROM deliveries)",
    ),
    "inbox": Kind("inbox", "seq", "t.at < :before AND t.seq < (SELECT MAX(seq) FROM inbox)"),
    "ranked": Kind(
        "ranked_events",
        "seq",
        "t.due_at < :before AND t.seq < (SELECT MAX(seq) FROM ranked_events) "
        "AND t.seq NOT IN (SELECT seq FROM ranked_open) "
        "AND NOT EXISTS (SELECT 1 FROM ranked_told x WHERE x.event = t.seq "
        "AND x.seq = (SELECT MAX(seq) FROM ranked_told))",
        (("ranked_told", "event = ?"), ("ranked_rewards", "event = ?")),
    ),
}


class Retention:
    """Counts and removes what is too old in one ledger file."""

    def __init__(self, path: Path) -> None:
        """Take turns with all other writers of the ledger at `path`."""
        self._connections = Connections(path, durable=True)
        # What is removed is overwritten, not only marked as free.
        self._connections.db.execute("PRAGMA secure_delete = ON").fetchone()

    def close(self) -> None:
        """Close the connection."""
        self._connections.close()

    def count(self, name: str, bounds: Mapping[str, Any]) -> int:
        """Return how many rows of a kind would go; `bounds` are the values that its condition names."""
        kind = KINDS[name]
        sql = f"SELECT COUNT(*) FROM {kind.table} t WHERE {kind.condition}"
        return int(self._connections.db.execute(sql, bounds).fetchone()[0])

    def remove(self, name: str, bounds: Mapping[str, Any], *, most: int) -> int:
        """Remove at most `most` rows of a kind, `BATCH` a transaction, and return how many went.

        They are sought before the turn to write is taken, and looked at again within it.
        """
        kind, removed = KINDS[name], 0
        sought = f"SELECT t.{kind.key} FROM {kind.table} t WHERE {kind.condition} LIMIT {most:d}"
        keys = [key for (key,) in self._connections.db.execute(sought, bounds).fetchall()]
        for first in range(0, len(keys), BATCH):
            with self._connections.transaction() as db:
                removed += sum(_remove(db, kind, key, bounds) for key in keys[first : first + BATCH])
        return removed


def _remove(db: sqlite3.Connection, kind: Kind, key: int | str, bounds: Mapping[str, Any]) -> bool:
    still = f"SELECT 1 FROM {kind.table} t WHERE t.{kind.key} = :key AND {kind.condition}"
    if db.execute(still, {**bounds, "key": key}).fetchone() is None:
        return False
    if kind.table == "decisions":
        db.execute(
            "INSERT INTO cursors SELECT ?, decided_at / 1000000 + 1 FROM decisions WHERE seq = ? "
            "ON CONFLICT (name) DO UPDATE SET position = MAX(position, excluded.position)",
            [GONE, key],
        )
    for table, condition in kind.parts:
        db.execute(f"DELETE FROM {table} WHERE {condition}", [key])
    db.execute(f"DELETE FROM {kind.table} WHERE {kind.key} = ?", [key])
    return True
