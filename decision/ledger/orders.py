"""Each order of a customer once, whatever is told of it and how often; her totals are the sum over her orders."""

from __future__ import annotations

import sqlite3

from decision.ledger.codec import from_us, to_us
from decision.records import Outcome
from decision.stages.events import KnownOrder


def count(db: sqlite3.Connection, outcome: Outcome) -> None:
    """Bring an order and the totals of its customer up to date with an outcome that was not known before."""
    customer_id, order_id = outcome.customer_id, str(outcome.properties["order_id"])
    before = _known(db, customer_id, order_id)
    after = before.after(outcome)
    if after != before:
        _save(db, customer_id, order_id, after)
        _add(db, customer_id, before, after)


def _known(db: sqlite3.Connection, customer_id: str, order_id: str) -> KnownOrder:
    row = db.execute(
        "SELECT completed_at, message_id, revenue_micros, refunded_micros, refunded, refunded_in_full, cancelled "
        "FROM orders WHERE customer_id = ? AND order_id = ?",
        [customer_id, order_id],
    ).fetchone()
    if row is None:
        return KnownOrder()
    completed_at, message_id, revenue, paid_back, refunded, in_full, cancelled = row
    return KnownOrder(
        completed_at=None if completed_at is None else from_us(completed_at),
        message_id=message_id,
        revenue_micros=revenue,
        refunded_micros=paid_back,
        refunded=bool(refunded),
        refunded_in_full=bool(in_full),
        cancelled=bool(cancelled),
    )


def _save(db: sqlite3.Connection, customer_id: str, order_id: str, order: KnownOrder) -> None:
    db.execute(
        "INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            customer_id,
            order_id,
            None if order.completed_at is None else to_us(order.completed_at),
            order.message_id,
            order.revenue_micros,
            order.refunded_micros,
            int(order.refunded),
            int(order.refunded_in_full),
            int(order.cancelled),
        ],
    )


def _add(db: sqlite3.Connection, customer_id: str, before: KnownOrder, after: KnownOrder) -> None:
    # Sums by their difference, extremes from an index: a customer may have any number of orders.
    db.execute(
        "INSERT INTO customers (customer_id, orders, returns, revenue_micros, consent) VALUES (?, ?, ?, ?, '{}') "
        "ON CONFLICT (customer_id) DO UPDATE SET orders = orders + excluded.orders, "
        "returns = returns + excluded.returns, revenue_micros = revenue_micros + excluded.revenue_micros",
        [
            customer_id,
            after.orders - before.orders,
            after.returns - before.returns,
            after.kept_micros - before.kept_micros,
        ],
    )
    db.execute(
        "UPDATE customers SET "
        "first_order_at = (SELECT MIN(completed_at) FROM orders WHERE customer_id = ?1 AND NOT cancelled), "
        "last_order_at = (SELECT MAX(completed_at) FROM orders WHERE customer_id = ?1 AND NOT cancelled) "
        "WHERE customer_id = ?1",
        [customer_id],
    )
