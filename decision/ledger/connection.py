"""Connections to a SQLite ledger: one a thread, handed on when the thread ends; writers queue on a file lock.

SQLite's own busy handler sleeps and retries, so that an unlucky writer waits seconds while others pass it; the lock
before BEGIN IMMEDIATE serves writers in turn, across processes.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from decision.errors import LedgerError


class _Connection(sqlite3.Connection):
    """Raises the ledger's errors instead of SQLite's."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except sqlite3.Error as error:
            raise _failed(error) from error


def _failed(error: sqlite3.Error) -> LedgerError:
    return LedgerError(
        f"Expected the ledger to work, SQLite says: {error}.", hint="Is the disk full or the file damaged?"
    )


def lock_of(path: Path) -> int:
    """Return a descriptor of the lock file that writers of a ledger queue on."""
    return os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)


@contextmanager
def queued(lock: int) -> Iterator[None]:
    """Wait for the lock behind a descriptor, and hold it meanwhile."""
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)


class _Line:
    """A connection and the descriptor of the lock file that its writes queue on."""

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self.lock = lock_of(path)
        # A line outlives its thread and is then another's, so that threads that come and go leak no descriptors.
        try:
            self.connection = sqlite3.connect(
                path, timeout=30.0, isolation_level=None, check_same_thread=False, factory=_Connection
            )
        except sqlite3.Error as error:
            raise _failed(error) from error
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(f"PRAGMA synchronous = {synchronous}")
        self.connection.execute("PRAGMA cache_size = -16000")

    def __del__(self) -> None:
        os.close(self.lock)


class _Lease:
    """What a thread holds of a line: at the thread's end the line becomes idle."""

    def __init__(self, line: _Line, idle: deque[_Line]) -> None:
        self.line = line
        self._idle = idle

    def __del__(self) -> None:
        self._idle.append(self.line)


class Connections:
    """The connections of one process to one ledger file."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Without `durable`, commits don't wait for the disk: for simulations only."""
        self._path = path
        self._synchronous = "FULL" if durable else "OFF"
        self._local = threading.local()
        self._idle: deque[_Line] = deque()

    @property
    def _line(self) -> _Line:
        lease: _Lease | None = getattr(self._local, "lease", None)
        if lease is None:
            try:
                line = self._idle.pop()
            except IndexError:
                line = _Line(self._path, synchronous=self._synchronous)
            lease = self._local.lease = _Lease(line, self._idle)
        return lease.line

    @property
    def db(self) -> sqlite3.Connection:
        """Return this thread's connection."""
        return self._line.connection

    @contextmanager
    def queued(self) -> Iterator[None]:
        """Wait for all writers before, and keep the next ones waiting."""
        with queued(self._line.lock):
            yield

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write: what is executed inside is committed when the block ends, or not at all when it fails."""
        db = self.db
        with self.queued():
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                # A commit that fails (a full disk) leaves the transaction open; other errors may have ended it.
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close this thread's connection and those of threads that have ended."""
        self._local.lease = None
        while self._idle:
            self._idle.pop().connection.close()
