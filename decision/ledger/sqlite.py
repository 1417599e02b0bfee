"""The ledger in SQLite: WAL mode, synchronous=FULL; see `ledger.connection` for how writers take turns."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from decision.errors import DeadlinePassed, LedgerError
from decision.ledger import inbox, keys, orders, pulse, served, writing
from decision.ledger.base import (
    ENCORE,
    Act,
    InboxItem,
    PosteriorRecord,
    PriceRecord,
    Promotion,
    Pulse,
    Rewarded,
    Settlement,
)
from decision.ledger.codec import (
    DECISION_COLUMNS,
    OUTCOME_COLUMNS,
    REWARD_COLUMNS,
    decision_of,
    decision_row,
    from_us,
    outcome_of,
    reward_of,
    reward_row,
    to_us,
)
from decision.ledger.connection import CALLERS_PATIENCE, PATIENCE, Connection, Connections, Turns
from decision.ledger.group_commit import GroupCommit
from decision.ledger.migrations import STEPS, applied, check_not_newer, migrate
from decision.ledger.people import SqlitePeople
from decision.ledger.profiles import SqliteProfiles
from decision.ledger.ranks import SqliteRanks
from decision.ledger.sqlite_outbox import SqliteOutbox
from decision.ledger.withdrawn import Mark, Withdrawn
from decision.records import CONTROL, Consent, Customer, Decision, Outcome, Reservation, Reward, RewardStatus
from decision.stages.events import OF_CONSENT, OF_ORDERS, with_word
from decision.stages.guardrails import Used
from decision.stages.keys import ApiKey
from decision.stages.withdrawal import withdrawn

_LATEST = "SELECT MAX(seq) FROM rewards WHERE decision_id = d.decision_id"
_DECISION = ", ".join(f"d.{column.strip()}" for column in DECISION_COLUMNS.split(","))
_REWARD = ", ".join(f"r.{column.strip()}" for column in REWARD_COLUMNS.split(","))
_PROFILE = "orders, returns, revenue_micros, first_order_at, last_order_at, consent"
_CUSTOMER = (
    "SELECT (SELECT COALESCE(MAX(seq), 0) FROM decisions WHERE customer_id = ?1), "
    "(SELECT GROUP_CONCAT(decided_at) FROM decisions WHERE customer_id = ?1 AND decided_at > ?2 AND action_id != ?3), "
    f"{_PROFILE} FROM (SELECT 1) LEFT JOIN customers ON customer_id = ?1"
)
_N_DECISION = len(DECISION_COLUMNS.split(","))
_ALWAYS = -(2**63)
_UNUSED = Used()
# No decision has this number.
_CHANGED = -1
# A long import must not keep the till waiting for its lock.
IMPORT_CHUNK = 500
# Another process may be upgrading a large ledger just now.
UPGRADE_PATIENCE = 600.0


class SqliteLedger:
    """Implements `ledger.base.Ledger` on one SQLite file."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Open the ledger at `path`; only a simulation may do without `durable` commits.

        Raises
        ------
        LedgerError : the ledger was not created, or its schema differs.
        """
        self.path = path
        if not path.exists():
            raise LedgerError(f"Expected a ledger at {path}, found none.", hint="Run `encore init`.")
        self._connections = Connections(path, durable=durable)
        self.outbox = SqliteOutbox(self._connections)
        self._withdrawn = Withdrawn.beside(path)
        self._decisions = GroupCommit(self._group, writing.record, lambda write: self._withdrawn.add(write.mark))
        check_not_newer(self._db, path)
        if not self._is_upgraded():
            # Another process may be at it just now.
            with self._connections.turns.taken(patience=UPGRADE_PATIENCE):
                upgraded = self._is_upgraded()
            if not upgraded:
                raise LedgerError(f"Expected an up-to-date ledger at {path}.", hint="Run `encore upgrade`.")
        if self._withdrawn.marks():
            # What a killed process has left behind. Where the disk is full, the first group to be written does it.
            with suppress(LedgerError), self._group(CALLERS_PATIENCE):
                pass

    def _is_upgraded(self) -> bool:
        # A copy made by VACUUM INTO has lost the mode. Only an upgrade sets it: two who do so at once fail.
        return applied(self._db) == list(STEPS) and self._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    @classmethod
    def create(cls, path: Path, *, durable: bool = True) -> SqliteLedger:
        """Create or upgrade the ledger at `path` and open it; others wait until it is done."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with Turns(path).taken(patience=UPGRADE_PATIENCE):
            migrate(path)
            Withdrawn.beside(path).create()
        return cls(path, durable=durable)

    @property
    def _db(self) -> Connection:
        return self._connections.db

    def _transaction(self, *, patience: float = PATIENCE) -> AbstractContextManager[sqlite3.Connection]:
        return self._connections.transaction(patience=patience)

    @property
    def profiles(self) -> SqliteProfiles:
        """See `Ledger.profiles`."""
        return SqliteProfiles(self._connections)

    @property
    def people(self) -> SqlitePeople:
        """See `Ledger.people`."""
        return SqlitePeople(self._connections)

    @property
    def ranks(self) -> SqliteRanks:
        """See `Ledger.ranks`."""
        return SqliteRanks(self._connections)

    @contextmanager
    def _group(self, patience: float) -> Iterator[sqlite3.Connection]:
        """Open a transaction for a group of decisions, which first corrects those that were withdrawn."""
        with self._transaction(patience=patience) as db:
            marks = self._withdrawn.marks()
            for mark in marks:
                self._correct(db, mark)
            yield db
        if marks:
            # The group is durable, whatever becomes of the list: rows can be corrected twice.
            with suppress(OSError):
                self._withdrawn.remove(marks)

    def _correct(self, db: sqlite3.Connection, mark: Mark) -> None:
        found = self._found(mark[0])
        if found is None or to_us(found.decided_at) != mark[1]:
            return
        row = decision_row(withdrawn(found))
        places = ", ".join("?" * len(row))
        db.execute(f"UPDATE decisions SET ({DECISION_COLUMNS}) = ({places}) WHERE decision_id = ?", [*row, mark[0]])
        writing.close(db, Settlement(found.decision_id, 0, keep_count=False))

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """See `Ledger.within`."""
        return self._connections.within(seconds)

    def close(self) -> None:
        """Close this thread's connection and those of threads that have ended."""
        self._connections.close()

    def rehearse(self, patience: float) -> None:
        """See `Ledger.rehearse`."""
        self._connections.rehearse(patience)

    def tidy(self) -> None:
        """See `Ledger.tidy`."""
        self._connections.tidy()

    def customer(self, customer_id: str, *, contacts_since: datetime | None = None) -> Customer:
        """See `Ledger.customer`."""
        # One statement sees one moment: a decision that comes later is a conflict, never a contact overlooked.
        since = _ALWAYS if contacts_since is None else to_us(contacts_since)
        version, contacts, *profile = self._db.execute(_CUSTOMER, [customer_id, since, CONTROL]).fetchone()
        times = sorted(map(int, contacts.split(",")), reverse=True) if contacts else ()
        last = tuple([from_us(at) for at in times])
        if profile[0] is None:
            return Customer(customer_id, contacts=last, version=version)
        return _customer(customer_id, profile, contacts=last, version=version)

    def _profile(self, customer_id: str) -> Customer:
        row = self._db.execute(
            f"SELECT {_PROFILE} FROM customers WHERE customer_id = ?",
            [customer_id],
        ).fetchone()
        return Customer(customer_id) if row is None else _customer(customer_id, row)

    def used(self, budget_keys: Iterable[str]) -> dict[str, Used]:
        """See `Ledger.used`."""
        return writing.used(self._db, budget_keys)

    def decision(self, decision_id: str) -> Decision | None:
        """See `Ledger.decision`."""
        found = self._found(decision_id)
        if found is None:
            return None
        if (decision_id, to_us(found.decided_at)) in self._withdrawn.marks():
            return withdrawn(found)
        # It may have been on the list when it was read, and corrected since.
        return self._found(decision_id)

    def _found(self, decision_id: str) -> Decision | None:
        row = self._db.execute(
            f"SELECT {DECISION_COLUMNS} FROM decisions WHERE decision_id = ?", [decision_id]
        ).fetchone()
        return None if row is None else decision_of(row)

    def record_decision(
        self,
        decision: Decision,
        reservations: Sequence[Reservation],
        *,
        seen_version: int,
        at_stake: Sequence[Reservation] = (),
    ) -> None:
        """See `Ledger.record_decision`."""
        now, until = time.monotonic(), self._db.deadline.until
        if now > until:
            raise DeadlinePassed("Expected to write a decision before its deadline, found that it had passed.")
        self._decisions.commit(
            writing.Write(decision.customer_id, decision_row(decision), decision, reservations, at_stake, seen_version),
            until=min(until, now + CALLERS_PATIENCE),
        )

    def record_outcomes(self, outcomes: Sequence[Outcome], *, now: datetime) -> int:
        """See `Ledger.record_outcomes`."""
        new = 0
        with self._transaction(patience=CALLERS_PATIENCE) as db:
            for outcome in outcomes:
                cursor = db.execute(
                    "INSERT INTO outcomes (message_id, name, customer_id, occurred_at, received_at, properties) "
                    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING",
                    [
                        outcome.message_id,
                        outcome.name,
                        outcome.customer_id,
                        to_us(outcome.occurred_at),
                        to_us(now),
                        msgspec.json.encode(dict(outcome.properties)).decode(),
                    ],
                )
                if cursor.rowcount == 1:
                    new += 1
                    self._follow(db, outcome)
        return new

    def _follow(self, db: sqlite3.Connection, outcome: Outcome) -> None:
        """Bring the customer up to date with a new outcome."""
        if outcome.name in OF_ORDERS:
            orders.count(db, outcome)
        elif outcome.name in OF_CONSENT:
            _save_consent(db, with_word(self._profile(outcome.customer_id), outcome))

    def import_decisions(self, rewarded: Iterable[Rewarded]) -> int:
        """See `Ledger.import_decisions`."""
        new = 0
        items = iter(rewarded)
        while chunk := list(islice(items, IMPORT_CHUNK)):
            with self._transaction() as db:
                for item in chunk:
                    if writing.insert(db, decision_row(item.decision)) is not None:
                        _insert_reward(db, item.reward)
                        new += 1
        return new

    def outcomes_of(self, customer_id: str, *, start: datetime, end: datetime) -> list[Outcome]:
        """See `Ledger.outcomes_of`."""
        rows = self._db.execute(
            f"SELECT {OUTCOME_COLUMNS} FROM outcomes WHERE customer_id = ? AND occurred_at > ? AND occurred_at <= ? "
            "ORDER BY occurred_at, message_id",
            [customer_id, to_us(start), to_us(end)],
        )
        return [outcome_of(row) for row in rows]

    def touched(self, *, after: int, limit: int) -> tuple[list[Decision], int]:
        """See `Ledger.touched`."""
        (last,) = self._db.execute(
            "SELECT COALESCE(MAX(seq), ?) FROM (SELECT seq FROM outcomes WHERE seq > ? ORDER BY seq LIMIT ?)",
            [after, after, limit],
        ).fetchone()
        rows = self._db.execute(
            f"SELECT {_DECISION} FROM decisions d WHERE d.seq IN (SELECT x.seq FROM outcomes o JOIN decisions x "
            "ON x.customer_id = o.customer_id AND x.decided_at < o.occurred_at "
            "WHERE o.seq > ? AND o.seq <= ?) ORDER BY d.seq",
            [after, last],
        )
        return [decision_of(row) for row in rows], last

    def due(self, *, now: datetime, limit: int) -> list[Decision]:
        """See `Ledger.due`."""
        rows = self._db.execute(
            f"SELECT {_DECISION} FROM unfinished u JOIN decisions d USING (seq) "
            "WHERE u.matures_at <= ? ORDER BY u.matures_at LIMIT ?",
            [to_us(now), limit],
        )
        return [decision_of(row) for row in rows]

    def expired(self, *, now: datetime, limit: int) -> list[Decision]:
        """See `Ledger.expired`."""
        rows = self._db.execute(
            f"SELECT {_DECISION} FROM (SELECT DISTINCT decision_id FROM reservations WHERE open AND expires_at <= ? "
            "LIMIT ?) JOIN decisions d USING (decision_id)",
            [to_us(now), limit],
        )
        return [decision_of(row) for row in rows]

    def reward(self, decision_id: str) -> Reward | None:
        """See `Ledger.reward`."""
        row = self._db.execute(
            f"SELECT {REWARD_COLUMNS} FROM rewards WHERE decision_id = ? ORDER BY seq DESC LIMIT 1", [decision_id]
        ).fetchone()
        return None if row is None else reward_of(row)

    def record_rewards(self, rewards: Sequence[Reward], settlements: Sequence[Settlement]) -> None:
        """See `Ledger.record_rewards`."""
        with self._transaction() as db:
            for reward in rewards:
                _insert_reward(db, reward)
                if reward.status is RewardStatus.FINAL:
                    db.execute(
                        "DELETE FROM unfinished WHERE seq = (SELECT seq FROM decisions WHERE decision_id = ?)",
                        [reward.decision_id],
                    )
            for settlement in settlements:
                writing.settle(db, settlement)

    def close_reservations(self, settlements: Sequence[Settlement]) -> None:
        """See `Ledger.close_reservations`."""
        with self._transaction() as db:
            for settlement in settlements:
                writing.close(db, settlement)

    def cursor(self, name: str) -> int:
        """See `Ledger.cursor`."""
        row = self._db.execute("SELECT position FROM cursors WHERE name = ?", [name]).fetchone()
        return 0 if row is None else int(row[0])

    def move_cursor(self, name: str, position: int) -> None:
        """See `Ledger.move_cursor`."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", [name, position])

    def finished(self, *, start: datetime, end: datetime) -> list[Rewarded]:
        """See `Ledger.finished`."""
        rows = self._db.execute(
            f"SELECT {_DECISION}, {_REWARD} FROM decisions d JOIN rewards r ON r.seq = ({_LATEST}) "
            "WHERE d.decided_at >= ? AND d.decided_at < ? AND r.status = ? ORDER BY d.decision_id",
            [to_us(start), to_us(end), RewardStatus.FINAL.value],
        )
        return [_rewarded(row) for row in rows]

    def waits(self, *, start: datetime, end: datetime) -> list[timedelta]:
        """See `Ledger.waits`."""
        rows = self._db.execute(
            f"SELECT r.first_order_at - d.decided_at FROM decisions d JOIN rewards r ON r.seq = ({_LATEST}) "
            "WHERE d.decided_at >= ? AND d.decided_at < ? AND r.status = ? AND r.first_order_at IS NOT NULL",
            [to_us(start), to_us(end), RewardStatus.FINAL.value],
        )
        return [timedelta(microseconds=wait) for (wait,) in rows]

    def unfinished(self, *, start: datetime) -> Iterator[tuple[Decision, Reward | None]]:
        """See `Ledger.unfinished`."""
        rows = self._db.execute(
            f"SELECT {_DECISION}, {_REWARD} FROM unfinished u JOIN decisions d USING (seq) "
            f"LEFT JOIN rewards r ON r.seq = ({_LATEST}) WHERE d.decided_at >= ? ORDER BY d.decision_id",
            [to_us(start)],
        )
        for row in rows:
            happened = row[_N_DECISION] is not None
            yield decision_of(row[:_N_DECISION]), reward_of(row[_N_DECISION:]) if happened else None

    def rewarded(self) -> Iterator[Rewarded]:
        """See `Ledger.rewarded`."""
        rows = self._db.execute(
            f"SELECT {_DECISION}, {_REWARD} FROM decisions d JOIN rewards r ON r.seq = ({_LATEST}) ORDER BY d.seq"
        )
        for row in rows:
            yield _rewarded(row)

    def revised_since(self, position: int, *, start: datetime) -> tuple[datetime | None, int]:
        """See `Ledger.revised_since`."""
        first, last = self._db.execute(
            "SELECT MIN(d.decided_at), COALESCE((SELECT MAX(seq) FROM rewards), 0) FROM rewards r "
            "JOIN decisions d USING (decision_id) "
            "WHERE r.seq > ? AND d.decided_at >= ? AND r.status = ? AND r.repurchased IS NOT "
            "(SELECT e.repurchased FROM rewards e WHERE e.decision_id = r.decision_id AND e.seq < r.seq "
            "AND e.status = r.status ORDER BY e.seq DESC LIMIT 1)",
            [position, to_us(start), RewardStatus.FINAL.value],
        ).fetchone()
        return None if first is None else from_us(first), max(last, position)

    def posterior(self, bundle_version: str, *, after: int = 0) -> PosteriorRecord | None:
        """See `Ledger.posterior`. Raises `LedgerError` when the stored bytes fail their hash."""
        return served.posterior(self._db, bundle_version, after=after)

    def record_posterior(self, record: PosteriorRecord) -> None:
        """See `Ledger.record_posterior`."""
        with self._transaction() as db:
            served.record_posterior(db, record)

    def shadow_price(self, budget: str) -> PriceRecord | None:
        """See `Ledger.shadow_price`."""
        return served.shadow_price(self._db, budget)

    def record_shadow_prices(self, records: Sequence[PriceRecord]) -> None:
        """See `Ledger.record_shadow_prices`."""
        with self._transaction() as db:
            served.record_shadow_prices(db, records)

    def promotions(self) -> list[Promotion]:
        """See `Ledger.promotions`."""
        return served.promotions(self._db)

    def record_promotion(self, promotion: Promotion, *, actor: str = ENCORE) -> None:
        """See `Ledger.record_promotion`."""
        with self._transaction() as db:
            served.record_promotion(db, promotion, actor=actor)

    def api_keys(self) -> list[ApiKey]:
        """See `Ledger.api_keys`."""
        return keys.every(self._db)

    def record_key(self, key: ApiKey, *, actor: str) -> None:
        """See `Ledger.record_key`."""
        with self._transaction() as db:
            keys.insert(db, key, actor=actor)

    def revoke_key(self, key_id: str, *, actor: str, now: datetime) -> ApiKey:
        """See `Ledger.revoke_key`."""
        with self._transaction() as db:
            return keys.revoke(db, key_id, actor=actor, now=now)

    def acts(self) -> list[Act]:
        """See `Ledger.acts`."""
        return keys.acts(self._db)

    def record_act(self, act: Act) -> None:
        """See `Ledger.record_act`."""
        with self._transaction() as db:
            keys.append(db, act)

    def knows(self, message_ids: Sequence[str]) -> bool:
        """See `Ledger.knows`."""
        found = (self._db.execute("SELECT 1 FROM outcomes WHERE message_id = ?", [one]) for one in message_ids)
        return all(one.fetchone() for one in found)

    def owners(self, order_id: str) -> list[str]:
        """See `Ledger.owners`."""
        return inbox.owners(self._db, order_id)

    def put_in_inbox(self, *items: InboxItem) -> int:
        """See `Ledger.put_in_inbox`."""
        with self._transaction(patience=CALLERS_PATIENCE) as db:
            return inbox.insert(db, items)

    def inbox(self, *, order_id: str | None = None) -> list[InboxItem]:
        """See `Ledger.inbox`."""
        return inbox.items(self._db, order_id=order_id)

    def take_from_inbox(self, item_id: int, *, act: Act | None = None) -> None:
        """See `Ledger.take_from_inbox`."""
        with self._transaction() as db:
            inbox.remove(db, item_id, act=act)

    def pulse(self, *, cursor: str, bundle_version: str) -> Pulse:
        """See `Ledger.pulse`."""
        return pulse.read(self._db, self.path, cursor=cursor, bundle_version=bundle_version)

    def counts(self) -> Mapping[str, int]:
        """See `Ledger.counts`."""
        return {
            table: self._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("decisions", "outcomes", "rewards", "unfinished")
        }

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """See `Ledger.rows`."""
        cursor = self._db.execute(f"SELECT * FROM {table} ORDER BY seq")
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield dict(zip(names, row, strict=True))


def _customer(
    customer_id: str, profile: Sequence[Any], *, contacts: tuple[datetime, ...] = (), version: int = 0
) -> Customer:
    """Return a customer from the values of `_PROFILE`."""
    n_orders, n_returns, revenue, first, last, consent = profile
    return Customer(
        customer_id=customer_id,
        orders=n_orders,
        returns=n_returns,
        revenue_micros=revenue,
        first_order_at=None if first is None else from_us(first),
        last_order_at=None if last is None else from_us(last),
        consent={c: Consent(bool(g), from_us(at)) for c, (g, at) in msgspec.json.decode(consent).items()},
        contacts=contacts,
        version=version,
    )


def _save_consent(db: sqlite3.Connection, customer: Customer) -> None:
    db.execute(
        "INSERT INTO customers (customer_id, orders, returns, revenue_micros, consent) VALUES (?, 0, 0, 0, ?) "
        "ON CONFLICT (customer_id) DO UPDATE SET consent = excluded.consent",
        [
            customer.customer_id,
            msgspec.json.encode({c: (w.given, to_us(w.at)) for c, w in customer.consent.items()}).decode(),
        ],
    )


def _insert_reward(db: sqlite3.Connection, reward: Reward) -> None:
    db.execute(f"INSERT INTO rewards ({REWARD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", reward_row(reward))


def _rewarded(row: tuple[Any, ...]) -> Rewarded:
    return Rewarded(decision_of(row[:_N_DECISION]), reward_of(row[_N_DECISION:]))
