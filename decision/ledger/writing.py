"""Writing decisions in groups: which of them still hold, their rows, and what they reserve and give back of budgets."""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from decision.errors import Conflict, LedgerError
from decision.ledger.base import Settlement
from decision.ledger.codec import DECISION_COLUMNS, to_us
from decision.ledger.withdrawn import Mark
from decision.records import Decision, Reservation
from decision.stages.guardrails import Used, fits

_UNUSED = Used()
# No decision has this number.
_CHANGED = -1
_N_DECISION = len(DECISION_COLUMNS.split(","))


class Write(Struct, frozen=True):
    """A decision to be written, as it was proposed to `Ledger.record_decision`."""

    customer_id: str
    row: tuple[Any, ...]
    decision: Decision
    taken: Sequence[Reservation]
    at_stake: Sequence[Reservation]
    seen_version: int

    @property
    def expires_us(self) -> int:
        """Return until when what is taken is held."""
        return to_us(self.decision.expires_at or self.decision.matures_at)

    @property
    def mark(self) -> Mark:
        """Return what tells it from any other decision, also of the same id."""
        return self.decision.decision_id, to_us(self.decision.decided_at)


class _Tally:
    """What is taken of budgets while a group of decisions is written; each budget is read and written once."""

    def __init__(self, used: Mapping[str, Used]) -> None:
        self._used = dict(used)
        self._added: dict[str, Used] = {}

    def full(self, wanted: Iterable[Reservation]) -> frozenset[str]:
        """Return the budgets that don't hold what is wanted of them."""
        return frozenset([r.budget_key for r in wanted if not fits(r, self._used.get(r.budget_key, _UNUSED))])

    def add(self, taken: Iterable[Reservation]) -> None:
        """Take pieces of budgets."""
        for piece in taken:
            for sums in (self._used, self._added):
                before = sums.get(piece.budget_key, _UNUSED)
                sums[piece.budget_key] = Used(before.amount_micros + piece.amount_micros, before.count + 1)

    def save(self, db: sqlite3.Connection) -> None:
        """Write what was taken."""
        _add_uses(db, [(key, added.amount_micros, added.count) for key, added in self._added.items()])


def used(db: sqlite3.Connection, budget_keys: Iterable[str]) -> dict[str, Used]:
    """Return what is used of those of the budgets of which anything is."""
    keys = tuple(budget_keys)
    if not keys:
        return {}
    rows = db.execute(
        f"SELECT budget_key, amount_micros, count FROM budget_use WHERE budget_key IN ({_places(len(keys))})", keys
    )
    return {key: Used(amount, count) for key, amount, count in rows.fetchall()}


def record(db: sqlite3.Connection, writes: Sequence[Write]) -> list[Conflict | None]:
    """Write the decisions that still hold, each seeing those before it; the others come back as conflicts.

    All rows of a group that go into a table are one statement: each statement lets go of the interpreter, and
    while this one waits to have it back, other processes wait for their turn to write.
    """
    tally = _Tally(used(db, {r.budget_key for w in writes for r in (*w.taken, *w.at_stake)}))
    versions, ids = _seen(db, writes)
    found: list[Conflict | None] = []
    held: list[Write] = []
    for write in writes:
        refusal = _refusal(write, versions.get(write.customer_id, 0), ids, tally)
        found.append(refusal)
        if refusal is None:
            held.append(write)
            ids.add(write.decision.decision_id)
            # Whoever else in this group has seen her as she was comes too late.
            versions[write.customer_id] = _CHANGED
            tally.add(write.taken)
    if held:
        insert_all(db, held)
        tally.save(db)
    return found


def insert(db: sqlite3.Connection, row: tuple[Any, ...]) -> int | None:
    """Write a row of `DECISION_COLUMNS` and return its number; None where its id is known."""
    cursor = db.execute(
        f"INSERT INTO decisions ({DECISION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (decision_id) DO NOTHING",
        row,
    )
    return cursor.lastrowid if cursor.rowcount == 1 else None


def _seen(db: sqlite3.Connection, writes: Sequence[Write]) -> tuple[dict[str, int], set[str]]:
    """Return the sequence numbers of the customers' last decisions, and which ids decisions have already."""
    customers = [write.customer_id for write in writes]
    ids = [write.decision.decision_id for write in writes]
    # One statement: each lets go of the interpreter, and may wait to have it back.
    rows = db.execute(
        f"SELECT customer_id, MAX(seq) FROM decisions WHERE customer_id IN ({_places(len(writes))}) GROUP BY 1 "
        f"UNION ALL SELECT decision_id, NULL FROM decisions WHERE decision_id IN ({_places(len(writes))})",
        customers + ids,
    ).fetchall()
    versions = {name: version for name, version in rows if version is not None}
    return versions, {name for name, version in rows if version is None}


def _refusal(write: Write, version: int, ids: Container[str], tally: _Tally) -> Conflict | None:
    """Return why a decision can't be written, if it can't."""
    decision_id = write.decision.decision_id
    if version != write.seen_version:
        return Conflict(f"Customer {write.customer_id} has had another decision meanwhile.")
    if full := tally.full((*write.taken, *write.at_stake)):
        return Conflict("A budget was used up meanwhile.", exhausted=full)
    return Conflict(f"Decision {decision_id} exists.") if decision_id in ids else None


def insert_all(db: sqlite3.Connection, writes: Sequence[Write]) -> None:
    """Write decisions of new ids, with what they reserve."""
    n = len(writes)
    last = db.execute(
        f"INSERT INTO decisions ({DECISION_COLUMNS}) VALUES {_rows(n, _N_DECISION)}",
        [value for write in writes for value in write.row],
    ).lastrowid
    if last is None:
        raise LedgerError("Expected new decisions to have sequence numbers, SQLite gives none.")
    # The writer is alone: rows of one statement are numbered one after the other.
    unfinished = [
        value
        for seq, write in enumerate(writes, start=last - n + 1)
        for value in (seq, to_us(write.decision.matures_at))
    ]
    db.execute(f"INSERT INTO unfinished VALUES {_rows(n, 2)}", unfinished)
    reserved = [
        value
        for write in writes
        for r in write.taken
        for value in (write.decision.decision_id, r.budget_key, r.amount_micros, 1, write.expires_us, 1)
    ]
    if reserved:
        db.execute(f"INSERT INTO reservations VALUES {_rows(len(reserved) // 6, 6)}", reserved)


@lru_cache(maxsize=256)
def _places(n: int) -> str:
    return ", ".join("?" * n)


@lru_cache(maxsize=256)
def _rows(n: int, width: int) -> str:
    return ", ".join([f"({_places(width)})"] * n)


def _add_uses(db: sqlite3.Connection, uses: Sequence[tuple[str, int, int]]) -> None:
    if uses:
        db.execute(
            f"INSERT INTO budget_use VALUES {_rows(len(uses), 3)} ON CONFLICT (budget_key) DO UPDATE SET "
            "amount_micros = amount_micros + excluded.amount_micros, count = count + excluded.count",
            [value for use in uses for value in use],
        )


def settle(db: sqlite3.Connection, s: Settlement) -> None:
    """Reserve for a decision what it has come to cost, instead of what was reserved."""
    held = db.execute(
        "SELECT budget_key, amount_micros, count FROM reservations WHERE decision_id = ?", [s.decision_id]
    ).fetchall()
    for key, amount, count in held:
        _add_uses(db, [(key, s.amount_micros - amount, int(s.keep_count) - count)])
        db.execute(
            "UPDATE reservations SET amount_micros = ?, count = ? WHERE decision_id = ? AND budget_key = ?",
            [s.amount_micros, int(s.keep_count), s.decision_id, key],
        )


def close(db: sqlite3.Connection, s: Settlement) -> None:
    """Settle for good."""
    settle(db, s)
    db.execute("UPDATE reservations SET open = 0 WHERE decision_id = ?", [s.decision_id])
