"""The SQLite schema, one numbered step after another; each commits together with its own record.

sqlite-utils is imported only when a ledger is created or upgraded: it loads pandas where that is installed,
which a serving process must not pay for.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from decision.errors import LedgerError
from decision.ledger import orders, people, profiles, ranks
from decision.ledger.codec import OUTCOME_COLUMNS, outcome_of
from decision.stages.events import OF_ORDERS

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

SET = "encore"
STEPS = (
    "m001_first_schema",
    "m002_each_order_once",
    "m003_when_they_came_back",
    "m004_shadow_prices",
    "m005_keys_and_audit",
    "m006_inbox",
    "m007_ranked_events",
    "m008_outbox",
    "m009_profiles",
    "m010_runs",
)


def m001_first_schema(db: Database) -> None:
    """Create decisions, outcomes, rewards, customers, budgets, beliefs and promotions."""
    for statement in _FIRST_SCHEMA.split(";"):
        if statement.strip():
            db.execute(statement)


def m002_each_order_once(db: Database) -> None:
    """Keep what is known of each order, and count customers' totals anew: repeated events had counted twice."""
    for statement in _ORDERS.split(";"):
        db.execute(statement)
    db.execute(
        "UPDATE customers SET orders = 0, returns = 0, revenue_micros = 0, first_order_at = NULL, last_order_at = NULL"
    )
    # Times before 1970 were let in by mistake, and made a customer's profile unreadable.
    of_orders = db.execute(
        f"SELECT {OUTCOME_COLUMNS} FROM outcomes WHERE name IN ({', '.join('?' * len(OF_ORDERS))}) "
        "AND occurred_at >= 0 ORDER BY seq",
        sorted(OF_ORDERS),
    )
    for row in of_orders:
        orders.count(db.conn, outcome_of(row))


def m003_when_they_came_back(db: Database) -> None:
    """Keep when the first order of a reward was placed: the learner needs to know how long customers take."""
    db.execute("ALTER TABLE rewards ADD COLUMN first_order_at INTEGER")


def m004_shadow_prices(db: Database) -> None:
    """Keep the shadow prices of budgets, one row a change."""
    for statement in _SHADOW_PRICES.split(";"):
        db.execute(statement)


def m005_keys_and_audit(db: Database) -> None:
    """Create the keys, and the log of what was administered."""
    for statement in _KEYS.split(";"):
        db.execute(statement)


def m006_inbox(db: Database) -> None:
    """Create the inbox, and find orders without knowing their customer: Shopify's refunds name only the order."""
    for statement in _INBOX.split(";"):
        db.execute(statement)


def m007_ranked_events(db: Database) -> None:
    """Create the ranked events of callers' own actions."""
    for statement in ranks.SCHEMA.split(";"):
        db.execute(statement)


def m008_outbox(db: Database) -> None:
    """Create the endpoints that are told decisions, and what became of each message."""
    for statement in _OUTBOX.split(";"):
        db.execute(statement)


def m009_profiles(db: Database) -> None:
    """Create the profiles: what was worked out of customers offline, where a decision looks it up."""
    for statement in profiles.SCHEMA.split(";"):
        db.execute(statement)


def m010_runs(db: Database) -> None:
    """Create the runs over everybody, and find the customers of a segment."""
    for statement in people.SCHEMA.split(";"):
        db.execute(statement)


_INBOX = """
CREATE TABLE inbox (
    seq INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    topic TEXT NOT NULL,
    sender TEXT NOT NULL,
    body TEXT NOT NULL,
    reason TEXT NOT NULL,
    order_id TEXT,
    customer_id TEXT
);
CREATE INDEX inbox_by_order ON inbox (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX orders_by_id ON orders (order_id)
"""
_SHADOW_PRICES = """
CREATE TABLE shadow_prices (
    seq INTEGER PRIMARY KEY,
    budget TEXT NOT NULL,
    budget_key TEXT NOT NULL,
    at INTEGER NOT NULL,
    per_money REAL NOT NULL,
    per_use REAL NOT NULL,
    amount_micros INTEGER NOT NULL,
    count INTEGER NOT NULL
);
CREATE INDEX shadow_prices_by_budget ON shadow_prices (budget, seq)
"""
_ORDERS = """
CREATE TABLE orders (
    customer_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    completed_at INTEGER,
    message_id TEXT NOT NULL,
    revenue_micros INTEGER NOT NULL,
    refunded_micros INTEGER NOT NULL,
    refunded INTEGER NOT NULL,
    refunded_in_full INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (customer_id, order_id)
) WITHOUT ROWID;
CREATE INDEX orders_by_time ON orders (customer_id, completed_at) WHERE NOT cancelled
"""
_KEYS = """
CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) WITHOUT ROWID;
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    detail TEXT NOT NULL
)
"""
_OUTBOX = """
CREATE TABLE endpoints (
    name TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    channels TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    stopped TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    decision_id TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    note TEXT NOT NULL,
    UNIQUE (decision_id, endpoint)
);
CREATE INDEX deliveries_waiting ON deliveries (endpoint, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_dead ON deliveries (endpoint) WHERE state = 'dead'
"""
_FIRST_SCHEMA = """
CREATE TABLE decisions (
    seq INTEGER PRIMARY KEY,
    decision_id TEXT NOT NULL UNIQUE,
    customer_id TEXT NOT NULL,
    decided_at INTEGER NOT NULL,
    matures_at INTEGER NOT NULL,
    action_id TEXT NOT NULL,
    grp TEXT NOT NULL,
    propensity REAL NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX decisions_by_customer ON decisions (customer_id, decided_at);
CREATE INDEX decisions_by_time ON decisions (decided_at);
CREATE TABLE unfinished (seq INTEGER PRIMARY KEY, matures_at INTEGER NOT NULL);
CREATE INDEX unfinished_by_time ON unfinished (matures_at);
CREATE TABLE outcomes (
    seq INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    properties TEXT NOT NULL
);
CREATE INDEX outcomes_by_customer ON outcomes (customer_id, occurred_at);
CREATE TABLE rewards (
    seq INTEGER PRIMARY KEY,
    decision_id TEXT NOT NULL,
    status TEXT NOT NULL,
    visited INTEGER NOT NULL,
    repurchased INTEGER NOT NULL,
    redeemed INTEGER NOT NULL,
    revenue_micros INTEGER NOT NULL,
    margin_micros INTEGER NOT NULL,
    cost_micros INTEGER NOT NULL,
    value_micros INTEGER NOT NULL,
    computed_at INTEGER NOT NULL
);
CREATE INDEX rewards_by_decision ON rewards (decision_id, seq);
CREATE TABLE customers (
    customer_id TEXT PRIMARY KEY,
    orders INTEGER NOT NULL,
    returns INTEGER NOT NULL,
    revenue_micros INTEGER NOT NULL,
    first_order_at INTEGER,
    last_order_at INTEGER,
    consent TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE budget_use (
    budget_key TEXT PRIMARY KEY,
    amount_micros INTEGER NOT NULL,
    count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE reservations (
    decision_id TEXT NOT NULL,
    budget_key TEXT NOT NULL,
    amount_micros INTEGER NOT NULL,
    count INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    open INTEGER NOT NULL,
    PRIMARY KEY (decision_id, budget_key)
) WITHOUT ROWID;
CREATE INDEX reservations_by_expiry ON reservations (expires_at) WHERE open;
CREATE TABLE posteriors (
    seq INTEGER PRIMARY KEY,
    bundle_version TEXT NOT NULL,
    through INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    data BLOB NOT NULL
);
CREATE INDEX posteriors_by_bundle ON posteriors (bundle_version, seq);
CREATE TABLE promotions (
    seq INTEGER PRIMARY KEY,
    bundle_version TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    verdict TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID
"""


def _migrations() -> Migrations:
    from sqlite_utils.migrations import Migrations

    migrations = Migrations(SET)
    for step in STEPS:
        migrations(name=step)(globals()[step])
    return migrations


def migrate(path: Path) -> None:
    """Create the ledger at `path`, or bring an older one up to date.

    Raises
    ------
    LedgerError : the ledger was written by a newer Encore, or the file is not a ledger.
    """
    from sqlite_utils import Database

    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=30.0)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        check_not_newer(connection, path)
        _migrations().apply(Database(connection))
    except sqlite3.Error as error:
        raise LedgerError(f"Expected a ledger at {path}, SQLite says: {error}.") from error
    finally:
        connection.close()


def applied(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the steps that a ledger has had, in order."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone():
        return []
    found = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY id", [SET])
    return [name for (name,) in found]


def missing(path: Path) -> list[str]:
    """Return the names of the steps that the ledger at `path` has not had."""
    with closing(sqlite3.connect(path, timeout=30.0)) as connection:
        try:
            had = applied(connection)
        except sqlite3.Error as error:
            raise LedgerError(f"Expected a ledger at {path}, SQLite says: {error}.") from error
    return [step for step in STEPS if step not in had]


def check_not_newer(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `LedgerError` when the ledger has steps that this version does not know."""
    unknown = [name for name in applied(connection) if name not in STEPS]
    if unknown:
        raise LedgerError(
            f"Expected a ledger with steps up to {STEPS[-1]} at {path}, found {unknown[-1]}.",
            hint="It was written by a newer Encore: upgrade this one.",
        )
