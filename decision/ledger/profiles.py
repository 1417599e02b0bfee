"""What was worked out of customers offline, in SQLite: one row for each customer and source, the latest."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from functools import lru_cache

import msgspec

from decision.ledger.base import Changed, NewProfile
from decision.ledger.codec import from_us, to_us
from decision.ledger.connection import Connections
from decision.records import NO_PROFILE, ContextValue, Profile, ProfileSource

# With a row id: in a table without, rows of this size would lie on two pages.
SCHEMA = """
CREATE TABLE profiles (
    customer_id TEXT NOT NULL,
    source TEXT NOT NULL,
    as_of INTEGER NOT NULL,
    version TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (customer_id, source)
);
CREATE INDEX profiles_by_age ON profiles (source, as_of)
"""
# The till must not wait for a long refresh.
PART = 500
values_of: Callable[[str], dict[str, ContextValue]] = msgspec.json.Decoder(dict[str, ContextValue]).decode


@lru_cache(maxsize=16)
def _reader_of(names: tuple[str, ...]) -> Callable[[str], dict[str, ContextValue]]:
    """Return what reads these values of a body and passes over the others: half the time of reading all."""
    kind = msgspec.defstruct("Values", [(name, ContextValue, None) for name in names])
    decoder = msgspec.json.Decoder(kind)

    def read(body: str) -> dict[str, ContextValue]:
        found = decoder.decode(body)
        return {name: value for name in names if (value := getattr(found, name)) is not None}

    return read


class SqliteProfiles:
    """Implements `ledger.base.Profiles` on the ledger's file."""

    def __init__(self, connections: Connections) -> None:
        """Share the ledger's connections and its turns to write."""
        self._connections = connections
        self._transaction: Callable[..., AbstractContextManager[sqlite3.Connection]] = connections.transaction

    def of(self, customer_id: str, names: Iterable[str] | None = None) -> Profile:
        """See `Profiles.of`."""
        rows = self._connections.db.execute(
            "SELECT source, as_of, version, body FROM profiles WHERE customer_id = ? ORDER BY source", [customer_id]
        ).fetchall()
        if not rows and names is None:
            return NO_PROFILE
        named = () if names is None else tuple(names)
        read = values_of if names is None else _reader_of(named)
        values: dict[str, ContextValue] = dict.fromkeys(named)
        for *_, body in rows:
            values |= read(body)
        return Profile(values, tuple([ProfileSource(name, from_us(at), version) for name, at, version, _ in rows]))

    def put(self, profiles: Sequence[NewProfile]) -> None:
        """See `Profiles.put`."""
        rows = [
            (
                new.customer_id,
                new.source.name,
                to_us(new.source.as_of),
                new.source.version,
                msgspec.json.encode({name: v for name, v in new.values.items() if v is not None}).decode(),
            )
            for new in profiles
        ]
        for first in range(0, len(rows), PART):
            with self._transaction() as db:
                db.executemany(
                    "INSERT INTO profiles VALUES (?, ?, ?, ?, ?) ON CONFLICT (customer_id, source) DO UPDATE SET "
                    "as_of = excluded.as_of, version = excluded.version, body = excluded.body "
                    "WHERE excluded.as_of >= as_of",
                    rows[first : first + PART],
                )

    def remove(self, source: str, customer_ids: Sequence[str]) -> None:
        """See `Profiles.remove`."""
        if customer_ids:
            with self._transaction() as db:
                db.executemany(
                    "DELETE FROM profiles WHERE customer_id = ? AND source = ?",
                    [(customer_id, source) for customer_id in customer_ids],
                )

    def changed(self, outcomes: int, decisions: int, *, limit: int) -> Changed:
        """See `Profiles.changed`."""
        db = self._connections.db
        events, made = (
            db.execute(
                f"SELECT seq, customer_id, {at} FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?", [after, limit]
            ).fetchall()
            for table, at, after in (("outcomes", "occurred_at", outcomes), ("decisions", "decided_at", decisions))
        )
        latest: dict[str, int] = {}
        for _, customer_id, at in (*events, *made):
            latest[customer_id] = max(at, latest.get(customer_id, at))
        positions = (events[-1][0] if events else outcomes, made[-1][0] if made else decisions)
        return Changed({name: from_us(at) for name, at in latest.items()}, *positions)

    def outdated(self, source: str, *, before: datetime, limit: int) -> list[str]:
        """See `Profiles.outdated`."""
        rows = self._connections.db.execute(
            "SELECT customer_id FROM profiles WHERE source = ? AND as_of < ? ORDER BY as_of LIMIT ?",
            [source, to_us(before), limit],
        )
        return [name for (name,) in rows.fetchall()]

    def of_other_version(self, source: str, version: str, *, limit: int) -> list[str]:
        """See `Profiles.of_other_version`."""
        rows = self._connections.db.execute(
            "SELECT customer_id FROM profiles WHERE source = ? AND version != ? LIMIT ?", [source, version, limit]
        )
        return [name for (name,) in rows.fetchall()]
