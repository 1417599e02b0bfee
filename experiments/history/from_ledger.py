"""The history that a ledger holds: of everybody, or of some customers. It is only read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from decision.errors import LedgerError
from decision.ledger.codec import DECISION_COLUMNS, OUTCOME_COLUMNS, decision_of, outcome_of
from decision.records import Decision, Outcome
from experiments.history.of_customer import contacts_of, lines_of, visits_of
from experiments.history.tables import CONTACTS, ORDER_LINES, VISITS, History, Rows

Advance = Callable[[int], None]
IMPORTED = "decisions of past trials, whose orders are not known one by one"


def history_of_ledger(
    path: Path, *, customers: Collection[str] | None = None, advance: Advance = lambda _: None
) -> History:
    """Return the history in the ledger at `path`, of all customers or of those named, at one moment.

    `advance` is told of every customer that was read, see `customers_in`. Raises `LedgerError` without a ledger.
    """
    lines, contacts, visits = Rows(ORDER_LINES), Rows(CONTACTS), Rows(VISITS)
    imported = 0
    with closing(_read_only(path)) as db:
        # One transaction: an event that comes meanwhile is in none of the tables.
        db.execute("BEGIN")
        for outcomes, decisions in _customers(db, customers):
            made = [d for d in decisions if not d.imported]
            imported += len(decisions) - len(made)
            for record in lines_of(outcomes, made):
                lines.add(*record)
            for record in contacts_of(outcomes, made):
                contacts.add(*record)
            for record in visits_of(outcomes):
                visits.add(*record)
            advance(1)
    return History(lines.table(), contacts.table(), visits.table(), {IMPORTED: imported} if imported else {})


def customers_in(path: Path) -> int:
    """Return how many customers a ledger knows anything of."""
    with closing(_read_only(path)) as db:
        union = "SELECT customer_id FROM outcomes UNION SELECT customer_id FROM decisions"
        return int(db.execute(f"SELECT COUNT(*) FROM ({union})").fetchone()[0])


def _read_only(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise LedgerError(f"Expected a ledger at {path}, found none.", hint="Run `encore init`.")
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=30.0)


def _customers(
    db: sqlite3.Connection, customers: Collection[str] | None
) -> Iterator[tuple[list[Outcome], list[Decision]]]:
    """Yield everybody's events and decisions, oldest first, customer by customer."""
    outcomes = _by_customer(db, "outcomes", OUTCOME_COLUMNS, "occurred_at, message_id", customers)
    decisions = _by_customer(db, "decisions", DECISION_COLUMNS, "decided_at, seq", customers)
    of_events, of_decisions = next(outcomes, None), next(decisions, None)
    while of_events or of_decisions:
        name = min(group[0] for group in (of_events, of_decisions) if group)
        events: list[Any] = []
        made: list[Any] = []
        if of_events and of_events[0] == name:
            events, of_events = [outcome_of(row) for row in of_events[1]], next(outcomes, None)
        if of_decisions and of_decisions[0] == name:
            made, of_decisions = [decision_of(row) for row in of_decisions[1]], next(decisions, None)
        yield events, made


def _by_customer(
    db: sqlite3.Connection, table: str, columns: str, order: str, customers: Collection[str] | None
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    place = [column.strip() for column in columns.split(",")].index("customer_id")
    chosen, names = "", []
    if customers is not None:
        chosen = "WHERE customer_id IN (SELECT value FROM json_each(?))"
        names = [msgspec.json.encode(sorted(customers)).decode()]
    rows = db.execute(f"SELECT {columns} FROM {table} {chosen} ORDER BY customer_id, {order}", names)
    for name, group in groupby(rows, key=lambda row: str(row[place])):
        yield name, list(group)
