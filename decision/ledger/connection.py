"""Connections to a SQLite ledger: one a thread, handed on when the thread ends; writers take turns.

SQLite's own busy handler sleeps and retries, so that an unlucky writer waits seconds while others pass it. Before
BEGIN IMMEDIATE the threads of a process wait for each other, and then for a lock on a file that processes share.
"""

from __future__ import annotations

import math
import os
import sqlite3
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decision.errors import DeadlinePassed, LedgerError
from decision.locks import FileLock

# How long a writer waits for her turn. Where a caller waits for an answer, another one must come before that.
PATIENCE = 30.0
CALLERS_PATIENCE = 2.0


# Others who hold the ledger without taking turns are asked again after so long.
BUSY_SECONDS = 0.001
# The write-ahead log is copied into the main file from so many pages on; a commit stops for it only at very many.
PAGE_BYTES = 4096
TIDY_PAGES = 1_000
LAST_RESORT_PAGES = 20_000
# A group of decisions needs no more room than that.
ROOM_PAGES = 64
# After so many of SQLite's steps a statement looks at the clock: far more than a lookup by index takes.
STEPS_BETWEEN_LOOKS = 10_000


class _Deadline:
    """Until when, by the monotonic clock, a connection may wait and read."""

    def __init__(self) -> None:
        self.until = math.inf

    def passed(self) -> bool:
        """Return whether a statement has to end: SQLite asks while it works."""
        return time.monotonic() > self.until


class Connection(sqlite3.Connection):
    """Raises the ledger's errors instead of SQLite's, and keeps a deadline."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.deadline = _Deadline()
        self.set_progress_handler(self.deadline.passed, STEPS_BETWEEN_LOOKS)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Execute a statement, also where another program holds the ledger for a moment. Raises `LedgerError`."""
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            if not _is(error, sqlite3.SQLITE_BUSY):
                raise failed(error) from error
        return self._insist(sql, parameters)

    def _insist(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        # Of others SQLite knows only those who write without taking turns, such as a person with its shell.
        until = min(self.deadline.until, time.monotonic() + CALLERS_PATIENCE)
        while True:
            time.sleep(BUSY_SECONDS)
            try:
                return super().execute(sql, parameters)
            except sqlite3.Error as error:
                if not _is(error, sqlite3.SQLITE_BUSY) or time.monotonic() >= until:
                    raise failed(error) from error


def _is(error: sqlite3.Error, code: int) -> bool:
    # Extended codes keep the primary one in their lowest byte.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == code


def failed(error: sqlite3.Error) -> LedgerError:
    """Return SQLite's error as the ledger's own."""
    if _is(error, sqlite3.SQLITE_BUSY):
        return DeadlinePassed(
            "Expected the ledger to be free, found another program that holds it.",
            hint="Does somebody have it open in a shell?",
        )
    if _is(error, sqlite3.SQLITE_INTERRUPT):
        return DeadlinePassed("Expected to read the ledger before the deadline, found more to read than that allows.")
    return LedgerError(
        f"Expected the ledger to work, SQLite says: {error}.", hint="Is the disk full or the file damaged?"
    )


class Turns:
    """The turns of the writers of a ledger."""

    def __init__(self, path: Path) -> None:
        """Take turns with every other process that writes to the ledger at `path`."""
        self._path = path.with_name(f"{path.name}.lock")
        self._own = threading.Lock()
        self._shared: FileLock | None = None

    @contextmanager
    def taken(self, *, patience: float = PATIENCE) -> Iterator[None]:
        """Wait for the writers before, and keep the next ones waiting.

        Raises
        ------
        LedgerError : the turn has not come within `patience` seconds.
        """
        until = time.monotonic() + patience
        if not self._own.acquire(timeout=patience):
            raise self._late(patience)
        try:
            lock = self._shared = self._shared or FileLock(self._path)
            if not lock.acquire(patience=max(until - time.monotonic(), 0.0)):
                raise self._late(patience)
            try:
                yield
            finally:
                lock.release()
        finally:
            self._own.release()

    def _late(self, patience: float) -> DeadlinePassed:
        return DeadlinePassed(
            f"Expected to write to the ledger within {patience:.2g} s, found another writer who does not come "
            "to an end.",
            hint=f"Which process holds {self._path}?",
        )

    def close(self) -> None:
        """Let go of the lock file, unless a writer is at it."""
        if self._own.acquire(blocking=False):
            self._shared = None
            self._own.release()


def _connect(path: Path, *, synchronous: str) -> Connection:
    # A connection outlives its thread and is then another's, so that threads that come and go leak no descriptors.
    try:
        connection = sqlite3.connect(
            path, timeout=0.0, isolation_level=None, check_same_thread=False, factory=Connection
        )
    except sqlite3.Error as error:
        raise failed(error) from error
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # Whatever another connection writes empties the cache, so that a large one is never filled.
    connection.execute("PRAGMA cache_size = -4000")
    # `Connections.tidy` copies pages into the main file beside the writers; a commit does it only where nobody did.
    connection.execute(f"PRAGMA wal_autocheckpoint = {LAST_RESORT_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {LAST_RESORT_PAGES * PAGE_BYTES}")
    return connection


class _Lease:
    """What a thread holds of a connection: at the thread's end the connection becomes idle."""

    def __init__(self, connection: Connection, idle: deque[Connection]) -> None:
        self.connection = connection
        self._idle = idle

    def __del__(self) -> None:
        self._idle.append(self.connection)


class Within:
    """A block with a deadline. Every decision is in one: a generator would cost it three times as much.

    At its end the thread lets go of its connection: a server has many threads, of which few work at once.
    """

    __slots__ = ("_connections", "_seconds")

    def __init__(self, connections: Connections, seconds: float) -> None:
        self._connections = connections
        self._seconds = seconds

    def __enter__(self) -> None:
        self._connections.db.deadline.until = time.monotonic() + self._seconds

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._connections.db.deadline.until = math.inf
        self._connections.let_go()
        if isinstance(error, sqlite3.Error):
            # Rows are read after a statement has begun.
            raise failed(error) from error


class Connections:
    """The connections of one process to one ledger file."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Without `durable`, commits don't wait for the disk: for simulations only."""
        self._path = path
        self._synchronous = "FULL" if durable else "OFF"
        self._local = threading.local()
        self._idle: deque[Connection] = deque()
        self.turns = Turns(path)

    @property
    def db(self) -> Connection:
        """Return this thread's connection."""
        lease: _Lease | None = getattr(self._local, "lease", None)
        if lease is None:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = _connect(self._path, synchronous=self._synchronous)
            lease = self._local.lease = _Lease(connection, self._idle)
        return lease.connection

    @contextmanager
    def transaction(self, *, patience: float = PATIENCE) -> Iterator[sqlite3.Connection]:
        """Write: what is executed inside is committed when the block ends, or not at all when it fails.

        Raises
        ------
        LedgerError : the turn to write has not come within `patience` seconds, or SQLite refuses.
        """
        db, until = self.db, time.monotonic() + patience
        with self.turns.taken(patience=patience):
            own, db.deadline.until = db.deadline.until, until
            try:
                db.execute("BEGIN IMMEDIATE")
                # What others have put into a group must not fail by the deadline of the one who leads it.
                db.deadline.until = math.inf
                yield db
                db.execute("COMMIT")
            except BaseException:
                # A commit that fails (a full disk) leaves the transaction open; other errors may have ended it.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            finally:
                db.deadline.until = own

    def rehearse(self, patience: float) -> None:
        """Commit the first page as it is, and see that there is room: so fails whatever would fail a decision.

        Raises
        ------
        LedgerError : it can't be written, or the turn has not come within `patience` seconds.
        """
        try:
            # The room that a failed commit took in the log is there for a page, but not for many.
            with tempfile.TemporaryFile(dir=self._path.parent) as scratch:
                os.posix_fallocate(scratch.fileno(), 0, ROOM_PAGES * PAGE_BYTES)
        except OSError as error:
            raise LedgerError(
                f"Expected room for {ROOM_PAGES} pages beside {self._path.name}: {error.strerror}."
            ) from None
        with self.within(patience), self.transaction(patience=patience) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            db.execute(f"PRAGMA user_version = {version}")

    def within(self, seconds: float) -> Within:
        """Return a block in which this thread neither waits nor reads for longer than that.

        `DeadlinePassed` is raised where something would have taken longer.
        """
        return Within(self, seconds)

    def tidy(self) -> None:
        """Copy what was written into the main file, so that the write-ahead log starts anew and stays short.

        Most of it is copied while others write. They wait for the rest alone, for which the log has to stand still.
        Does nothing while there is little to copy, or while another process is at it.
        """
        log = self._path.with_name(f"{self._path.name}-wal")
        try:
            if log.stat().st_size < TIDY_PAGES * PAGE_BYTES:
                return
        except FileNotFoundError:
            return
        self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        with self.turns.taken():
            self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def let_go(self) -> None:
        """Leave this thread's connection to whoever needs one next."""
        self._local.lease = None

    def close(self) -> None:
        """Close this thread's connection and those of threads that have ended."""
        self.let_go()
        while self._idle:
            self._idle.pop().close()
        self.turns.close()
