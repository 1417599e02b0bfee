"""Keys and the audit log in SQLite; an act is written in the transaction of what was done."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import msgspec

from decision.errors import NotFound
from decision.ledger.base import Act
from decision.ledger.codec import from_us, to_us
from decision.stages.keys import ApiKey, Role

_COLUMNS = "key_id, name, role, sha256, created_at, revoked_at"


def every(db: sqlite3.Connection) -> list[ApiKey]:
    """Return all keys, oldest first."""
    return [_key_of(row) for row in db.execute(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, key_id")]


def insert(db: sqlite3.Connection, key: ApiKey, *, actor: str) -> None:
    """Write a new key, and who made it."""
    db.execute(
        f"INSERT INTO api_keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, NULL)",
        [key.key_id, key.name, key.role.value, key.sha256, to_us(key.created_at)],
    )
    append(db, Act(key.created_at, actor, "key created", _named(key)))


def revoke(db: sqlite3.Connection, key_id: str, *, actor: str, now: datetime) -> ApiKey:
    """End a key, and say who did; one that has ended already stays as it is. Raises `NotFound`."""
    row = db.execute(f"SELECT {_COLUMNS} FROM api_keys WHERE key_id = ?", [key_id]).fetchone()
    if row is None:
        raise NotFound(f"Expected the id of a key, found {key_id!r}.", hint="`encore keys list` shows them.")
    key = _key_of(row)
    if key.revoked_at is None:
        db.execute("UPDATE api_keys SET revoked_at = ? WHERE key_id = ?", [to_us(now), key_id])
        append(db, Act(now, actor, "key revoked", _named(key)))
    return key


def append(db: sqlite3.Connection, act: Act) -> None:
    """Write an act."""
    db.execute(
        "INSERT INTO audit (at, actor, act, detail) VALUES (?, ?, ?, ?)",
        [to_us(act.at), act.actor, act.act, msgspec.json.encode(dict(act.detail)).decode()],
    )


def acts(db: sqlite3.Connection) -> list[Act]:
    """Return all acts, oldest first."""
    rows = db.execute("SELECT at, actor, act, detail FROM audit ORDER BY seq")
    return [Act(from_us(at), actor, act, msgspec.json.decode(detail)) for at, actor, act, detail in rows]


def _named(key: ApiKey) -> dict[str, str]:
    return {"key": key.key_id, "name": key.name, "role": key.role.value}


def _key_of(row: tuple[str, str, str, str, int, int | None]) -> ApiKey:
    key_id, name, role, sha256, created_at, revoked_at = row
    ended = None if revoked_at is None else from_us(revoked_at)
    return ApiKey(key_id, name, Role(role), sha256, from_us(created_at), ended)
