"""A ledger with a past: customers and finished decisions, written in bulk through the ledger's own columns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice

import numpy as np
from msgspec import structs

from decision.ledger.codec import DECISION_COLUMNS, decision_row
from decision.records import Decision
from decision.wiring import Home

SEED = 7
CHUNK = 50_000
# Older than any window of a guardrail, so that what was decided then changes nothing now.
AGO = timedelta(days=400)
SPACING = timedelta(milliseconds=100)
CACHE_KIB = 1_000_000


def customer_id(number: int) -> str:
    """Return the id of a customer."""
    return f"customer-{number:08d}"


def fill(home: Home, *, customers: int, past: int, like: Decision, tell: Callable[[str], None]) -> None:
    """Write customers who have bought, and `past` decisions like one, of customers drawn at random."""
    with closing(sqlite3.connect(home.ledger_path, isolation_level=None)) as db:
        # Nobody reads it yet, and a crash would only mean to start anew.
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        bought = ((customer_id(n), 3, 0, 150_000_000, 1, 2, "{}") for n in range(customers))
        names = "customer_id, orders, returns, revenue_micros, first_order_at, last_order_at, consent"
        _insert(db, "customers", names, bought)
        rows, written = _past(like, customers=customers, past=past), 0
        # Rows come in no order of theirs: built once at the end, they take a sort instead of a page each.
        indices = db.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'decisions' AND sql LIKE '%INDEX%'")
        known = indices.fetchall()
        for name, _ in known:
            db.execute(f"DROP INDEX {name}")
        while chunk := list(islice(rows, CHUNK)):
            _insert(db, "decisions", DECISION_COLUMNS, iter(chunk))
            written += len(chunk)
            if written % (10 * CHUNK) == 0:
                tell(f"    {written:,} of {past:,} past decisions written")
        for _, statement in known:
            db.execute(statement)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    # Gigabytes still on their way to the disk would hold up the first commits that are measured.
    with home.ledger_path.open("rb") as file:
        os.fsync(file.fileno())


def _past(like: Decision, *, customers: int, past: int) -> Iterator[tuple[object, ...]]:
    rng = np.random.default_rng(SEED)
    first = like.decided_at - AGO - past * SPACING
    for start in range(0, past, CHUNK):
        for place, number in enumerate(rng.integers(customers, size=min(CHUNK, past - start)).tolist(), start):
            at = first + place * SPACING
            yield decision_row(
                structs.replace(like, decision_id=f"{place:032x}", customer_id=customer_id(number), decided_at=at)
            )


def _insert(db: sqlite3.Connection, table: str, names: str, rows: Iterator[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(names.split(",")))
    db.execute("BEGIN")
    db.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)
    db.execute("COMMIT")
