"""A copy of a ledger as it is at one moment, made while others write.

SQLite's backup inside a read transaction: its pages are copied as they are, writers go on, and the copy is the ledger
of the moment it began. VACUUM INTO would build every index anew, which takes several times as long, and shows no
progress.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from decision.errors import LedgerError
from decision.ledger.migrations import check_not_newer

# Pages copied between two calls of `progress`: 8 MB.
PAGES = 2_000
Progress = Callable[[int, int], None]


def copy(source: Path, target: Path, *, progress: Progress | None = None) -> None:
    """Write the ledger at `source` to the new file `target`; `progress` hears the pages done and all pages.

    Raises
    ------
    LedgerError : SQLite can't read the one or write the other.
    """
    try:
        # Made here, so that nobody else on the machine may read it.
        target.touch(mode=0o600, exist_ok=False)
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None)) as ledger,
            closing(sqlite3.connect(target)) as written,
        ):
            # An open transaction holds the moment: without it, each write of another process would start anew.
            ledger.execute("BEGIN")
            ledger.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            ledger.backup(
                written,
                pages=PAGES,
                progress=lambda _, left, pages: progress(pages - left, pages) if progress else None,
            )
    except sqlite3.Error as error:
        raise LedgerError(
            f"Expected to copy {source} to {target}, SQLite says: {error}.", hint="Is the disk full?"
        ) from error


def verify(path: Path) -> None:
    """Raise `LedgerError` when the ledger at `path` is damaged or newer than this version."""
    try:
        with closing(sqlite3.connect(path)) as ledger:
            check_not_newer(ledger, path)
            (found,) = ledger.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise LedgerError(f"Expected a ledger at {path}, SQLite says: {error}.") from error
    if found != "ok":
        raise LedgerError(f"Expected an undamaged ledger at {path}, SQLite says: {found}.", hint="Take another backup.")


def is_open(path: Path) -> bool:
    """Return whether any process has the ledger at `path` open."""
    with closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as ledger:
        try:
            ledger.execute("PRAGMA locking_mode = EXCLUSIVE")
            ledger.execute("BEGIN EXCLUSIVE")
            ledger.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                return True
            raise
    return False
