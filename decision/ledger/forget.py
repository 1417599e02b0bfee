"""Everything of one person under another name: ids become random, and what is not needed to count is dropped.

Rows stay where they are, so that figures stay too: actions, propensities, facts of the context, rewards, money of
orders. What stays of an event is its name, its time and what `stages.rewards` counts. The new names are drawn, not
computed, and the pairs are kept nowhere.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from decision.errors import LedgerError
from decision.ledger import keys
from decision.ledger.base import Act
from decision.ledger.codec import DECISION_COLUMNS, OUTCOME_COLUMNS, decision_of, decision_row, outcome_of
from decision.ledger.connection import Connections
from decision.ledger.unused import Wiper
from decision.records import Decision
from decision.stages.delivery import State

# What an event may keep: texts among these get new names, numbers stay.
_KEPT = ("order_id", "coupon", "coupon_id", "coupon_name", "decision_id")
_NUMBERS = ("revenue_micros", "discount_micros", "margin_micros")
# Pages that are overwritten while the writers wait.
PAGES = 64
# The log is tried to be emptied so often, and each time looked at so often for readers to be done, in seconds.
_ATTEMPTS, _PAUSE = 100, 0.02
_LOOKS, _LOOK_SECONDS = 10, 0.001
# The cursor that says whose bytes are still to be overwritten: nobody's, those of one mark, or those of several.
_DUE = "scrub"
_NOBODY, _SEVERAL = 0, -1


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many decisions and events now belong to nobody; `old_names` were hers, and are told to nobody.

    `mark` stands in the ledger until her bytes are overwritten; it comes from her new name and tells of nobody.
    """

    decisions: int
    events: int
    old_names: frozenset[str] = field(default=frozenset(), repr=False)
    mark: int = field(default=_SEVERAL, repr=False)

    def plus(self, later: Forgotten) -> Forgotten:
        """Return both together, of one customer: the later mark stands in the ledger."""
        return Forgotten(
            self.decisions + later.decisions,
            self.events + later.events,
            self.old_names | later.old_names,
            later.mark,
        )


def pseudonymise(
    path: Path, customer_id: str, *, new_id: str, names: Callable[[], str], act: Callable[[Forgotten], Act]
) -> Forgotten:
    """Give a customer and all that is hers new names in one transaction, with the act that says so.

    `names` draws a new name. Decisions and events that come meanwhile wait for their turn.
    """
    connections = Connections(path, durable=True)
    try:
        # The pages that are let go of are overwritten, not only marked as free.
        connections.db.execute("PRAGMA secure_delete = ON").fetchone()
        with connections.transaction() as db:
            renamed: dict[str, str] = defaultdict(names, {customer_id: new_id})
            n_decisions = _decisions(db, customer_id, renamed)
            n_events = _events(db, customer_id, renamed)
            _inbox(db, customer_id)
            _profile(db, customer_id, renamed)
            # Said again of the same customer it is the same mark.
            mark = int.from_bytes(hashlib.sha256(new_id.encode()).digest()[:7]) + 1
            forgotten = Forgotten(n_decisions, n_events, frozenset(renamed), mark)
            _set_due(db, mark if _due(db) in (_NOBODY, mark) else _SEVERAL)
            keys.append(db, act(forgotten))
        return forgotten
    finally:
        connections.close()


def _decisions(db: sqlite3.Connection, customer_id: str, renamed: Mapping[str, str]) -> int:
    found = db.execute(f"SELECT {DECISION_COLUMNS} FROM decisions WHERE customer_id = ?", [customer_id]).fetchall()
    for row in found:
        before = decision_of(row)
        after = _anonymous(before, renamed)
        values = decision_row(after)
        db.execute(
            f"UPDATE decisions SET ({DECISION_COLUMNS}) = ({', '.join('?' * len(values))}) WHERE decision_id = ?",
            [*values, before.decision_id],
        )
        for table in ("rewards", "reservations", "deliveries"):
            db.execute(
                f"UPDATE {table} SET decision_id = ? WHERE decision_id = ?", [after.decision_id, before.decision_id]
            )
        # Whoever delivers would be told of somebody who does not exist.
        db.execute(
            "UPDATE deliveries SET state = ?, note = ? WHERE decision_id = ? AND state = ?",
            [State.WITHHELD.value, "the customer was forgotten", after.decision_id, State.WAITING.value],
        )
    return len(found)


def _anonymous(decision: Decision, renamed: Mapping[str, str]) -> Decision:
    hers = {decision.customer_id, decision.decision_id, decision.order_id}
    return structs.replace(
        decision,
        decision_id=renamed[decision.decision_id],
        customer_id=renamed[decision.customer_id],
        order_id=renamed[decision.order_id] if decision.order_id else "",
        coupon=None if decision.coupon is None else renamed[decision.coupon],
        # A hash of the body that was sent: whoever knows the body could find it again.
        fingerprint="",
        context={name: renamed[v] if isinstance(v, str) and v in hers else v for name, v in decision.context.items()},
    )


def _events(db: sqlite3.Connection, customer_id: str, renamed: Mapping[str, str]) -> int:
    found = db.execute(f"SELECT {OUTCOME_COLUMNS} FROM outcomes WHERE customer_id = ?", [customer_id]).fetchall()
    for row in found:
        outcome = outcome_of(row)
        kept: dict[str, Any] = {name: v for name, v in outcome.properties.items() if name in (*_NUMBERS, "channel")}
        kept |= {name: renamed[str(v)] for name, v in outcome.properties.items() if name in _KEPT and v is not None}
        db.execute(
            "UPDATE outcomes SET message_id = ?, customer_id = ?, properties = ? WHERE message_id = ?",
            [renamed[outcome.message_id], renamed[customer_id], msgspec.json.encode(kept).decode(), outcome.message_id],
        )
    return len(found)


def _inbox(db: sqlite3.Connection, customer_id: str) -> None:
    """Remove what waits in the inbox of her or for her orders: it was never used, so no figure counts it."""
    db.execute(
        "DELETE FROM inbox WHERE customer_id = ?1 OR order_id IN (SELECT order_id FROM orders WHERE customer_id = ?1)",
        [customer_id],
    )


def _profile(db: sqlite3.Connection, customer_id: str, renamed: Mapping[str, str]) -> None:
    new_id = renamed[customer_id]
    orders = db.execute("SELECT order_id, message_id FROM orders WHERE customer_id = ?", [customer_id]).fetchall()
    for order_id, message_id in orders:
        db.execute(
            "UPDATE orders SET customer_id = ?, order_id = ?, message_id = ? WHERE customer_id = ? AND order_id = ?",
            [new_id, renamed[order_id], renamed[message_id] if message_id else "", customer_id, order_id],
        )
    # Worked out from what is anonymous now, under her old name: it is made anew under the new one.
    db.execute("DELETE FROM profiles WHERE customer_id = ?", [customer_id])
    db.execute("UPDATE customers SET customer_id = ?, consent = '{}' WHERE customer_id = ?", [new_id, customer_id])


def scrub(path: Path, forgotten: Forgotten) -> bool:
    """Empty the WAL and overwrite old names where they stand in no row any more; return whether none are left.

    They are sought beside the writers, who wait for a few pages at a time. Names that also stand in rows of others stay
    there. Where old bytes can't be told from rows, and where somebody was forgotten before and this did not come to its
    end, the file is rebuilt, for which all wait.

    Raises
    ------
    LedgerError : somebody reads in the ledger for long; it is still to be done.
    """
    connections = Connections(path, durable=True)
    try:
        with _empty(connections, path):
            pass
        live, other = _wiped(connections, path, forgotten.old_names)
        with connections.turns.taken():
            if other or _due(connections.db) not in (_NOBODY, forgotten.mark):
                _rebuild(connections.db, path)
            else:
                _set_due(connections.db, _NOBODY)
        return not live
    finally:
        connections.close()


def _wiped(connections: Connections, path: Path, names: frozenset[str]) -> tuple[bool, bool]:
    """Overwrite old names; return whether some are left in rows, and whether some are left elsewhere."""
    live = other = False
    with Wiper(path, names) as wiper:
        pages = wiper.find()
        for first in range(0, len(pages), PAGES):
            with _empty(connections, path):
                left = wiper.wipe(pages[first : first + PAGES])
                # A commit makes every connection forget what it remembers of pages.
                _set_due(connections.db, _due(connections.db))
            live, other = live or bool(left.live), other or bool(left.other)
    return live, other


@contextmanager
def _empty(connections: Connections, path: Path) -> Iterator[None]:
    """Keep the other writers waiting while the write-ahead log is empty: the file is then all that there is."""
    for _ in range(_ATTEMPTS):
        with connections.turns.taken():
            if _emptied(connections.db):
                yield
                return
        time.sleep(_PAUSE)
    raise _read_for_long(path)


def _emptied(db: sqlite3.Connection) -> bool:
    for _ in range(_LOOKS):
        busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return True
        # Who reads now is soon done; who comes after the log was copied does not read in it.
        time.sleep(_LOOK_SECONDS)
    return False


def finish(path: Path) -> bool:
    """Overwrite the bytes of whoever was forgotten by a process that was killed; return whether there were any.

    Raises
    ------
    LedgerError : somebody reads in the ledger for long; it is still to be done.
    """
    connections = Connections(path, durable=True)
    try:
        with connections.turns.taken():
            due = _due(connections.db) != _NOBODY
            if due:
                _rebuild(connections.db, path)
        return due
    finally:
        connections.close()


def _rebuild(db: sqlite3.Connection, path: Path) -> None:
    db.execute("VACUUM")
    if not _emptied(db):
        raise _read_for_long(path)
    _set_due(db, _NOBODY)


def _due(db: sqlite3.Connection) -> int:
    row = db.execute("SELECT position FROM cursors WHERE name = ?", [_DUE]).fetchone()
    return _NOBODY if row is None else int(row[0])


def _set_due(db: sqlite3.Connection, mark: int) -> None:
    db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", [_DUE, mark])


def _read_for_long(path: Path) -> LedgerError:
    return LedgerError(
        f"Expected to empty the write-ahead log of {path}, found somebody reading in it for long.",
        hint="Nothing leads to her any more, but old bytes are on the disk: say it again when the reader is done.",
    )
