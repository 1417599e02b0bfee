"""The inbox in SQLite: deliveries that could not be used yet, and requests that only a person can answer."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Sequence

from decision.errors import InboxFull, NotFound
from decision.ledger import keys
from decision.ledger.base import Act, InboxItem
from decision.ledger.codec import from_us, to_us

# Who sends so much that can't be used has to be told: a refused delivery is sent again later.
LIMIT = 10_000
# A tracker that misspells a name does so with every call: it must leave room for the rest.
SHARES = {"segment": 1_000}
_COLUMNS = "seq, at, source, topic, sender, body, reason, order_id, customer_id"


def insert(db: sqlite3.Connection, items: Sequence[InboxItem]) -> int:
    """Write the items that are not there already and return their number. Raises `InboxFull`; then write none."""
    waiting = Counter(dict(db.execute("SELECT source, COUNT(*) FROM inbox GROUP BY source").fetchall()))
    return sum(_insert(db, item, waiting) for item in items)


def _insert(db: sqlite3.Connection, item: InboxItem, waiting: Counter[str]) -> bool:
    said = "\x1f".join((item.source, item.topic, item.sender, item.body))
    digest = hashlib.sha256(said.encode()).hexdigest()
    if db.execute("SELECT 1 FROM inbox WHERE digest = ?", [digest]).fetchone():
        return False
    share = SHARES.get(item.source, LIMIT)
    if waiting.total() >= LIMIT or waiting[item.source] >= share:
        hint = "`encore inbox list` shows them, `encore inbox retry` tries them again."
        limit = min(LIMIT, share)
        raise InboxFull(f"Expected fewer than {limit:,} items in the inbox, found it full.", hint=hint)
    waiting[item.source] += 1
    db.execute(
        "INSERT INTO inbox (digest, at, source, topic, sender, body, reason, order_id, customer_id) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            digest,
            to_us(item.at),
            item.source,
            item.topic,
            item.sender,
            item.body,
            item.reason,
            item.order_id,
            item.customer_id,
        ],
    )
    return True


def items(db: sqlite3.Connection, *, order_id: str | None) -> list[InboxItem]:
    """Return all items, or those that wait for an order, oldest first."""
    where, values = ("", []) if order_id is None else ("WHERE order_id = ?", [order_id])
    return [_item_of(row) for row in db.execute(f"SELECT {_COLUMNS} FROM inbox {where} ORDER BY seq", values)]


def remove(db: sqlite3.Connection, item_id: int, *, act: Act | None) -> None:
    """Delete an item; with an act, who did and why. Raises `NotFound` when a person names one that is not there."""
    gone = db.execute("DELETE FROM inbox WHERE seq = ?", [item_id]).rowcount
    if act is not None:
        if not gone:
            raise NotFound(f"Expected the number of an item, found {item_id}.", hint="`encore inbox list` shows them.")
        keys.append(db, act)


def owners(db: sqlite3.Connection, order_id: str) -> list[str]:
    """Return the customers who have completed an order of this id; two shops may count alike."""
    rows = db.execute(
        "SELECT customer_id FROM orders WHERE order_id = ? AND completed_at IS NOT NULL ORDER BY customer_id",
        [order_id],
    )
    return [customer_id for (customer_id,) in rows]


def _item_of(row: tuple[int, int, str, str, str, str, str, str | None, str | None]) -> InboxItem:
    item_id, at, source, topic, sender, body, reason, order_id, customer_id = row
    return InboxItem(from_us(at), source, topic, sender, body, reason, order_id, customer_id, item_id)
