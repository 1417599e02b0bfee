"""The write-ahead log stays short beside writers, and nothing they were told is lost."""

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from decision.ledger import connection
from decision.ledger.sqlite import SqliteLedger
from tests.support import NOW, decided


def write(ledger: SqliteLedger, numbers: range) -> None:
    for n in numbers:
        customer = f"c-{n}"
        decision = decided(decision_id=f"d-{n:06}", customer_id=customer, at=NOW, order_id=f"o-{n}")
        ledger.record_decision(decision, (), seen_version=0)


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def test_the_log_starts_anew_after_a_tidy(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger.create(path, durable=False)
    write(ledger, range(400))
    full = log_of(path).stat().st_size
    assert full > connection.TIDY_PAGES * connection.PAGE_BYTES
    for start in range(400, 2_000, 400):
        ledger.tidy()
        write(ledger, range(start, start + 400))
    assert log_of(path).stat().st_size < 1.5 * full
    ledger.close()


def test_a_short_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger.create(path, durable=False)
    write(ledger, range(5))
    before = path.stat().st_size
    ledger.tidy()
    assert path.stat().st_size == before
    ledger.close()


def test_what_writers_were_told_is_there_whoever_tidies_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger.create(path, durable=False)
    done = threading.Event()

    def tidy() -> None:
        other = SqliteLedger(path, durable=False)
        while not done.wait(0.01):
            other.tidy()
        other.close()

    beside = threading.Thread(target=tidy)
    beside.start()
    writers = [threading.Thread(target=write, args=(ledger, range(n, n + 500))) for n in range(0, 2_000, 500)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    beside.join()
    assert ledger.counts()["decisions"] == 2_000
    # A decision changes five pages.
    assert log_of(path).stat().st_size < 7_000 * connection.PAGE_BYTES
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
