"""Ranked events of callers' own actions in SQLite; events and what was told of them are only ever appended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

import msgspec

from decision.ledger.codec import from_us, to_us
from decision.ledger.connection import CALLERS_PATIENCE, Connections
from decision.stages.ranking import RankedEvent, Told

PART = 1_000
SCHEMA = """
CREATE TABLE ranked_events (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    due_at INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE ranked_open (seq INTEGER PRIMARY KEY, due_at INTEGER NOT NULL);
CREATE INDEX ranked_open_by_time ON ranked_open (due_at, seq);
CREATE TABLE ranked_told (seq INTEGER PRIMARY KEY, event INTEGER NOT NULL, at INTEGER NOT NULL, value REAL);
CREATE INDEX ranked_told_by_event ON ranked_told (event, seq);
CREATE TABLE ranked_rewards (event INTEGER PRIMARY KEY, value REAL);
CREATE TABLE ranked_models (version INTEGER PRIMARY KEY, data BLOB NOT NULL)
"""
_event_of = msgspec.msgpack.Decoder(RankedEvent)


class SqliteRanks:
    """Implements `ledger.base.Ranks` on the ledger's file."""

    def __init__(self, connections: Connections) -> None:
        """Share the ledger's connections and its turns to write."""
        self._connections = connections
        self._transaction: Callable[..., AbstractContextManager[sqlite3.Connection]] = connections.transaction

    def event(self, event_id: str) -> RankedEvent | None:
        """See `Ranks.event`."""
        row = self._connections.db.execute("SELECT body FROM ranked_events WHERE event_id = ?", [event_id]).fetchone()
        return None if row is None else _event_of.decode(row[0])

    def record_event(self, event: RankedEvent) -> RankedEvent:
        """See `Ranks.record_event`."""
        with self._transaction(patience=CALLERS_PATIENCE) as db:
            written = db.execute(
                "INSERT INTO ranked_events (event_id, due_at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [event.event_id, to_us(event.due_at), msgspec.msgpack.encode(event)],
            )
            if written.rowcount:
                db.execute("INSERT INTO ranked_open VALUES (?, ?)", [written.lastrowid, to_us(event.due_at)])
        return self.event(event.event_id) or event

    def tell(self, event_id: str, told: Told) -> bool:
        """See `Ranks.tell`."""
        with self._transaction(patience=CALLERS_PATIENCE) as db:
            written = db.execute(
                "INSERT INTO ranked_told (event, at, value) SELECT seq, ?, ? FROM ranked_events WHERE event_id = ?",
                [to_us(told.at), told.value, event_id],
            )
            return written.rowcount > 0

    def due(self, *, now: datetime, limit: int) -> list[tuple[RankedEvent, list[Told]]]:
        """See `Ranks.due`."""
        rows = self._connections.db.execute(
            "SELECT e.seq, e.body FROM ranked_open o JOIN ranked_events e ON e.seq = o.seq "
            "WHERE o.due_at < ? ORDER BY o.due_at, o.seq LIMIT ?",
            [to_us(now), limit],
        ).fetchall()
        return [(_event_of.decode(body), self._told(seq)) for seq, body in rows]

    def _told(self, seq: int) -> list[Told]:
        rows = self._connections.db.execute("SELECT at, value FROM ranked_told WHERE event = ? ORDER BY seq", [seq])
        return [Told(from_us(at), value) for at, value in rows]

    def settle(self, rewards: Mapping[str, float | None], model: bytes | None) -> None:
        """See `Ranks.settle`."""
        with self._transaction() as db:
            for event_id, value in rewards.items():
                (seq,) = db.execute("SELECT seq FROM ranked_events WHERE event_id = ?", [event_id]).fetchone()
                db.execute("INSERT INTO ranked_rewards VALUES (?, ?)", [seq, value])
                db.execute("DELETE FROM ranked_open WHERE seq = ?", [seq])
            if model is not None:
                (version,) = db.execute("SELECT COALESCE(MAX(version), 0) FROM ranked_models").fetchone()
                # Two megabytes a round: what was believed before is in the events.
                db.execute("DELETE FROM ranked_models")
                db.execute("INSERT INTO ranked_models VALUES (?, ?)", [version + 1, model])

    def reward(self, event_id: str) -> tuple[float | None] | None:
        """See `Ranks.reward`."""
        row: tuple[float | None] | None = self._connections.db.execute(
            "SELECT r.value FROM ranked_rewards r JOIN ranked_events e ON e.seq = r.event WHERE e.event_id = ?",
            [event_id],
        ).fetchone()
        return row

    def every(self) -> Iterator[tuple[RankedEvent, tuple[float | None] | None]]:
        """See `Ranks.every`."""
        last = 0
        # In parts: a reader who takes her time would keep the log of the database from being written back.
        while rows := self._connections.db.execute(
            "SELECT e.seq, e.body, r.event, r.value FROM ranked_events e LEFT JOIN ranked_rewards r ON r.event = e.seq "
            "WHERE e.seq > ? ORDER BY e.seq LIMIT ?",
            [last, PART],
        ).fetchall():
            for _, body, settled, value in rows:
                yield _event_of.decode(body), None if settled is None else (value,)
            last = rows[-1][0]

    def model(self, *, after: int = 0) -> tuple[int, bytes] | None:
        """See `Ranks.model`."""
        row: tuple[int, bytes] | None = self._connections.db.execute(
            "SELECT version, data FROM ranked_models WHERE version > ?", [after]
        ).fetchone()
        return row
