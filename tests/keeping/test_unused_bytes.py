"""What SQLite left in the unused parts of pages is overwritten, and no row is touched."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decision.errors import LedgerError
from decision.ledger import forget
from decision.ledger.forget import Forgotten, scrub
from decision.ledger.sqlite import SqliteLedger
from decision.ledger.unused import File, Wiper
from tests.support import NOW, SECOND, bought, decided

NAME = "anna.unique@example.org"


@contextmanager
def opened(path: Path) -> Iterator[File]:
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield File(descriptor)
    finally:
        os.close(descriptor)


def made(path: Path, page_bytes: int, steps: list[tuple[int, int, bool]]) -> set[str]:
    """Write, rename and delete rows by steps of (key, length, keep); return the names that live on."""
    living: dict[int, str] = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {page_bytes}")
        db.execute("PRAGMA secure_delete = OFF").fetchone()
        db.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, name TEXT UNIQUE, filler TEXT)")
        for number, (key, length, keep) in enumerate(steps):
            name = f"<{number:05d}:name>"
            living[key] = name
            db.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", [key, name, name + "x" * length])
            if not keep:
                db.execute("DELETE FROM t WHERE k = ?", [key])
                del living[key]
    return set(living.values())


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return list(db.iterdump())


step = st.tuples(st.integers(0, 60), st.integers(0, 300) | st.integers(0, 9_000), st.booleans())


@given(page_bytes=st.sampled_from([512, 1_024, 4_096, 65_536]), steps=st.lists(step, min_size=1, max_size=120))
@settings(deadline=None)
def test_whatever_was_written_and_deleted(
    tmp_path_factory: pytest.TempPathFactory, page_bytes: int, steps: list[tuple[int, int, bool]]
) -> None:
    path = tmp_path_factory.mktemp("unused") / "t.db"
    living = made(path, page_bytes, steps)
    before, names = dump(path), [f"<{number:05d}:name>".encode() for number in range(len(steps))]
    with opened(path) as file:
        assert file.page_bytes == page_bytes
        left = file.wipe(file.find(names), names)
        gone = [name for name in names if name.decode() not in living]
        # What is left of them is in overflow pages alone, which are told to be rebuilt.
        assert set(file.find(gone)) <= set(left.other)
        assert not set(left.live) & set(left.other)
    assert dump(path) == before


def test_names_in_rows_stay_and_names_in_unused_bytes_go(tmp_path: Path) -> None:
    steps = [(key, 40, True) for key in range(400)] + [(key, 40, False) for key in range(0, 400, 2)]
    living = made(tmp_path / "t.db", 4_096, steps)
    path = tmp_path / "t.db"
    names = [f"<{number:05d}:name>".encode() for number in range(len(steps))]
    gone = [name for name in names if name.decode() not in living]
    with opened(path) as file:
        assert file.find(gone), "or this shows nothing"
        left = file.wipe(file.find(names), names)
        assert file.find(gone) == []
        assert (bool(left.live), left.other) == (True, ())
        assert all(file.find([name.encode()]) for name in living)


def remnants(ledger: SqliteLedger) -> None:
    """Leave old copies of a name in split pages, and none of it in a row."""
    for n in range(400):
        name = NAME if n % 40 == 7 else f"other-{n % 50}"
        ledger.record_outcomes([bought(NOW + n * SECOND, f"o-{n}", customer_id=name, message_id=f"m-{n}")], now=NOW)
    with closing(sqlite3.connect(ledger.path)) as db:
        db.execute("PRAGMA secure_delete = OFF").fetchone()
        for table in ("outcomes", "orders", "customers"):
            db.execute(f"UPDATE {table} SET customer_id = 'somebody' WHERE customer_id = ?", [NAME])
        db.commit()


def holds(path: Path) -> bool:
    return any(NAME.encode() in file.read_bytes() for file in path.parent.glob("ledger.db*"))


def test_a_ledger_is_scrubbed_without_being_rebuilt_while_others_write(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "PAGES", 1)
    monkeypatch.setattr(forget, "_rebuild", lambda *_: pytest.fail("rebuilt"))
    remnants(ledger)
    ledger._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert NAME.encode() in ledger.path.read_bytes(), "or this shows nothing"
    done, written, began = threading.Event(), [], threading.Event()

    def till() -> None:
        n = 0
        while not done.is_set():
            customer = f"till-{n % 20}"
            seen = ledger.customer(customer)
            ledger.record_decision(decided(decision_id=f"d-{n}", customer_id=customer), [], seen_version=seen.version)
            written.append(f"d-{n}")
            n += 1
            began.set()

    thread = threading.Thread(target=till)
    thread.start()
    try:
        assert began.wait(20.0)
        before = len(written)
        forgotten = Forgotten(0, 10, frozenset({NAME}), mark=7)
        assert scrub(ledger.path, forgotten)
        assert len(written) > before, "writers take turns with it"
    finally:
        done.set()
        thread.join()
    assert not holds(ledger.path)
    assert sorted(written) == sorted(row["decision_id"] for row in ledger.rows("decisions"))
    assert ledger.counts()["outcomes"] == 400
    with closing(sqlite3.connect(ledger.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_what_another_connection_remembers_of_a_page_does_not_come_back(ledger: SqliteLedger) -> None:
    remnants(ledger)
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        # Reads every page, and goes on with the same connection afterwards.
        for table in ("outcomes", "orders", "customers"):
            other.execute(f"SELECT * FROM {table}").fetchall()
        assert scrub(ledger.path, Forgotten(0, 10, frozenset({NAME}), mark=7))
        other.execute("UPDATE outcomes SET received_at = received_at + 1")
        other.execute("UPDATE orders SET revenue_micros = revenue_micros + 1")
        assert not holds(ledger.path)


def test_a_process_that_searches_leaves_this_ones_locks_alone(ledger: SqliteLedger) -> None:
    """Whoever closes last takes the log away: closing the file in this process would make another one the last."""
    remnants(ledger)
    ledger.counts()
    assert scrub(ledger.path, Forgotten(0, 10, frozenset({NAME}), mark=7))
    code = (
        "import sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], timeout=0)\n"
        "db.execute('SELECT COUNT(*) FROM outcomes').fetchone()\n"
        "db.close()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(ledger.path)], check=True)
    assert ledger.path.with_name("ledger.db-wal").exists()


def test_a_searcher_that_was_killed_is_an_error_and_no_silence(ledger: SqliteLedger) -> None:
    with Wiper(ledger.path, frozenset({NAME})) as wiper:
        wiper._process.kill()
        wiper._process.wait()
        with pytest.raises(LedgerError, match="has ended"):
            wiper.find()
