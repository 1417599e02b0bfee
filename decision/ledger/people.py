"""Customers as the shop's people look at them: the last run over everybody, and who is in which of its segments."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from itertools import islice
from typing import NamedTuple, Protocol

import msgspec

from decision.ledger.base import NewProfile
from decision.ledger.codec import from_us, to_us
from decision.ledger.connection import Connections
from decision.ledger.profiles import PART, values_of
from decision.records import ContextValue
from decision.segments import SOURCE, Run

KINDS = ("rfm", "grid")
SCHEMA = f"""
CREATE TABLE runs (seq INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE INDEX profiles_by_rfm ON profiles (json_extract(body, '$.rfm'), customer_id) WHERE source = '{SOURCE}';
CREATE INDEX profiles_by_grid ON profiles (json_extract(body, '$.grid'), customer_id) WHERE source = '{SOURCE}'
"""


class Made(NamedTuple):
    """A decision by its id, when it was made, and what it gave."""

    decision_id: str
    decided_at: datetime
    action_id: str


class Member(NamedTuple):
    """A customer of a segment with her predictions."""

    customer_id: str
    values: dict[str, ContextValue]


class People(Protocol):
    """What runs found. Writes are committed when calls return."""

    def run(self) -> Run | None:
        """Return the last run, None before the first."""
        ...

    def replace(self, predictions: Iterable[NewProfile], *, advance: Callable[[int], None] = lambda _: None) -> int:
        """Write predictions of customers whom the ledger knows, and return how many those were.

        `advance` is told of how many more have been looked at.
        """
        ...

    def finish(self, run: Run) -> int:
        """Write down a run, and remove what earlier ones predicted of customers who are not in it; return how many."""
        ...

    def segments(self) -> Iterator[tuple[str, str | None, str | None]]:
        """Yield customers with their segments of each of `KINDS`."""
        ...

    def members(self, kind: str, name: str, *, after: str, limit: int) -> list[Member]:
        """Return the customers of a segment whose ids come after one, by id."""
        ...

    def last_decisions(self, customer_id: str, *, limit: int) -> list[Made]:
        """Return a customer's latest decisions, newest first."""
        ...


class SqlitePeople:
    """Implements `People` on the ledger's file."""

    def __init__(self, connections: Connections) -> None:
        """Share the ledger's connections and its turns to write."""
        self._connections = connections
        self._transaction: Callable[..., AbstractContextManager[sqlite3.Connection]] = connections.transaction

    def run(self) -> Run | None:
        """See `People.run`."""
        row = self._connections.db.execute("SELECT body FROM runs ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=Run)

    def replace(self, predictions: Iterable[NewProfile], *, advance: Callable[[int], None] = lambda _: None) -> int:
        """See `People.replace`."""
        written, rest = 0, iter(predictions)
        while part := [_row(one) for one in islice(rest, PART)]:
            with self._transaction() as db:
                # Who was forgotten since she was read must not come back under her old name.
                written += db.executemany(
                    "INSERT INTO profiles SELECT ?1, ?2, ?3, ?4, ?5 "
                    "WHERE EXISTS (SELECT 1 FROM customers WHERE customer_id = ?1) "
                    "ON CONFLICT (customer_id, source) DO UPDATE SET "
                    "as_of = excluded.as_of, version = excluded.version, body = excluded.body",
                    part,
                ).rowcount
            advance(len(part))
        return written

    def finish(self, run: Run) -> int:
        """See `People.finish`."""
        removed, more = 0, PART
        while more == PART:
            with self._transaction() as db:
                more = db.execute(
                    "DELETE FROM profiles WHERE (customer_id, source) IN (SELECT customer_id, source FROM profiles "
                    "WHERE source = ?1 AND (as_of != ?2 OR version != ?3) LIMIT ?4)",
                    [SOURCE, to_us(run.as_of), run.version, PART],
                ).rowcount
            removed += more
        with self._transaction() as db:
            db.execute("INSERT INTO runs (body) VALUES (?)", [msgspec.json.encode(run).decode()])
        return removed

    def segments(self) -> Iterator[tuple[str, str | None, str | None]]:
        """See `People.segments`."""
        columns = ", ".join(f"json_extract(body, '$.{kind}')" for kind in KINDS)
        yield from self._connections.db.execute(
            f"SELECT customer_id, {columns} FROM profiles WHERE source = '{SOURCE}'"
        )

    def members(self, kind: str, name: str, *, after: str, limit: int) -> list[Member]:
        """See `People.members`."""
        rows = self._connections.db.execute(
            f"SELECT customer_id, body FROM profiles WHERE source = '{SOURCE}' "
            f"AND json_extract(body, '$.{kind}') = ? AND customer_id > ? ORDER BY customer_id LIMIT ?",
            [name, after, limit],
        ).fetchall()
        return [Member(customer_id, values_of(body)) for customer_id, body in rows]

    def last_decisions(self, customer_id: str, *, limit: int) -> list[Made]:
        """See `People.last_decisions`."""
        rows: Sequence[tuple[str, int, str]] = self._connections.db.execute(
            "SELECT decision_id, decided_at, action_id FROM decisions WHERE customer_id = ? "
            "ORDER BY decided_at DESC, seq DESC LIMIT ?",
            [customer_id, limit],
        ).fetchall()
        return [Made(name, from_us(at), action) for name, at, action in rows]


def _row(new: NewProfile) -> tuple[str, str, int, str, str]:
    body = msgspec.json.encode({name: value for name, value in new.values.items() if value is not None})
    return new.customer_id, new.source.name, to_us(new.source.as_of), new.source.version, body.decode()
