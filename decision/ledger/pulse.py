"""What an operator asks of a ledger every few seconds: each answer costs one look into an index."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from decision.ledger.base import Pulse
from decision.ledger.codec import from_us


def read(db: sqlite3.Connection, path: Path, *, cursor: str, bundle_version: str) -> Pulse:
    """Return the state of the ledger at `path`; `cursor` is how far its outcomes have been worked off."""
    decisions, outcomes = (
        db.execute(f"SELECT COALESCE(MAX(seq), 0) FROM {table}").fetchone()[0] for table in ("decisions", "outcomes")
    )
    waiting = db.execute(
        "SELECT received_at FROM outcomes WHERE seq > COALESCE((SELECT position FROM cursors WHERE name = ?), 0) "
        "ORDER BY seq LIMIT 1",
        [cursor],
    ).fetchone()
    belief = db.execute(
        "SELECT through FROM posteriors WHERE bundle_version = ? ORDER BY seq DESC LIMIT 1", [bundle_version]
    ).fetchone()
    files = (path, path.with_name(f"{path.name}-wal"))
    return Pulse(
        decisions=decisions,
        outcomes=outcomes,
        waiting_since=None if waiting is None else from_us(waiting[0]),
        learned_through=None if belief is None else from_us(belief[0]),
        size_bytes=sum(file.stat().st_size for file in files if file.exists()),
    )
