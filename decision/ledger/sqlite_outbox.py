"""The outbox in SQLite. Writers take turns there, so the numbers of decisions are in the order of their commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from decision.errors import LedgerError, NotFound
from decision.ledger import keys
from decision.ledger.base import Act
from decision.ledger.codec import DECISION_COLUMNS, decision_of, from_us, to_us
from decision.ledger.connection import Connections
from decision.records import Decision
from decision.stages.delivery import Delivery, Endpoint, State

_COLUMNS = "endpoint, decision_id, state, attempts, queued_at, due_at, changed_at, note"


def _cursor(endpoint: str) -> str:
    return f"webhooks:{endpoint}"


class SqliteOutbox:
    """Implements `ledger.outbox.Outbox`."""

    def __init__(self, connections: Connections) -> None:
        """Use the connections of the ledger."""
        self._connections = connections

    def endpoints(self) -> list[Endpoint]:
        """See `Outbox.endpoints`."""
        rows = self._connections.db.execute(
            "SELECT name, url, channels, created_at, stopped FROM endpoints ORDER BY name"
        )
        return [
            Endpoint(name, url, tuple(msgspec.json.decode(channels)), from_us(at), stopped)
            for name, url, channels, at, stopped in rows
        ]

    def add(self, endpoint: Endpoint, *, actor: str) -> None:
        """See `Outbox.add`."""
        with self._connections.transaction() as db:
            written = db.execute(
                "INSERT INTO endpoints VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING",
                [
                    endpoint.name,
                    endpoint.url,
                    msgspec.json.encode(endpoint.channels).decode(),
                    to_us(endpoint.created_at),
                    endpoint.stopped,
                ],
            )
            if written.rowcount != 1:
                raise LedgerError(f"Expected a new endpoint, found {endpoint.name} there already.")
            db.execute(
                "INSERT OR REPLACE INTO cursors SELECT ?, COALESCE(MAX(seq), 0) FROM decisions",
                [_cursor(endpoint.name)],
            )
            detail = {"endpoint": endpoint.name, "url": endpoint.shown, "channels": ", ".join(endpoint.channels)}
            keys.append(db, Act(endpoint.created_at, actor, "webhook added", detail))

    def stop(self, name: str, *, reason: str, actor: str, now: datetime) -> None:
        """See `Outbox.stop`."""
        with self._connections.transaction() as db:
            if db.execute("UPDATE endpoints SET stopped = ? WHERE name = ?", [reason, name]).rowcount != 1:
                raise NotFound(f"Expected an endpoint, found none called {name!r}.", hint="`encore webhooks list`.")
            act, detail = ("webhook stopped", {"reason": reason}) if reason else ("webhook started", {})
            keys.append(db, Act(now, actor, act, {"endpoint": name, **detail}))

    def decided(self, endpoint: str, *, limit: int) -> tuple[list[Decision], int]:
        """See `Outbox.decided`."""
        found = self._connections.db.execute(
            "SELECT position FROM cursors WHERE name = ?", [_cursor(endpoint)]
        ).fetchone()
        position = 0 if found is None else int(found[0])
        rows = self._connections.db.execute(
            f"SELECT {DECISION_COLUMNS}, seq FROM decisions WHERE seq > ? ORDER BY seq LIMIT ?", [position, limit]
        ).fetchall()
        return [decision_of(row[:-1]) for row in rows], rows[-1][-1] if rows else position

    def queue(self, endpoint: str, deliveries: Sequence[Delivery], *, position: int) -> None:
        """See `Outbox.queue`."""
        with self._connections.transaction() as db:
            for one in deliveries:
                db.execute(
                    f"INSERT INTO deliveries ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (decision_id, endpoint) DO NOTHING",
                    _row(one),
                )
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", [_cursor(endpoint), position])

    def due(self, endpoint: str, *, now: datetime, limit: int) -> list[Delivery]:
        """See `Outbox.due`."""
        return self._where(
            "endpoint = ? AND state = 'waiting' AND due_at <= ? ORDER BY due_at, seq LIMIT ?",
            endpoint,
            to_us(now),
            limit,
        )

    def save(self, deliveries: Sequence[Delivery]) -> None:
        """See `Outbox.save`."""
        with self._connections.transaction() as db:
            for one in deliveries:
                db.execute(
                    "UPDATE deliveries SET state = ?, attempts = ?, queued_at = ?, due_at = ?, changed_at = ?, "
                    "note = ? WHERE endpoint = ? AND decision_id = ?",
                    [*_row(one)[2:], one.endpoint, one.decision_id],
                )

    def of(self, decision_id: str) -> list[Delivery]:
        """See `Outbox.of`."""
        return self._where("decision_id = ? ORDER BY endpoint", decision_id)

    def dead(self, endpoint: str | None = None) -> list[Delivery]:
        """See `Outbox.dead`."""
        if endpoint is None:
            return self._where("state = 'dead' ORDER BY seq")
        return self._where("state = 'dead' AND endpoint = ? ORDER BY seq", endpoint)

    def counts(self) -> Mapping[tuple[str, State], int]:
        """See `Outbox.counts`."""
        rows = self._connections.db.execute("SELECT endpoint, state, COUNT(*) FROM deliveries GROUP BY endpoint, state")
        return {(endpoint, State(state)): n for endpoint, state, n in rows}

    def _where(self, condition: str, *values: str | int) -> list[Delivery]:
        rows = self._connections.db.execute(f"SELECT {_COLUMNS} FROM deliveries WHERE {condition}", values)
        return [_delivery_of(row) for row in rows]


def _row(one: Delivery) -> list[str | int]:
    times = (to_us(one.queued_at), to_us(one.due_at), to_us(one.changed_at))
    return [one.endpoint, one.decision_id, one.state.value, one.attempts, *times, one.note]


def _delivery_of(row: tuple[str, str, str, int, int, int, int, str]) -> Delivery:
    endpoint, decision_id, state, attempts, queued_at, due_at, changed_at, note = row
    return Delivery(
        endpoint, decision_id, State(state), attempts, from_us(queued_at), from_us(due_at), from_us(changed_at), note
    )
