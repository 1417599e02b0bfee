"""What only SQLite can get wrong: durability, migrations, descriptors, a disk that is full."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import pytest
from msgspec import structs

from decision.errors import LedgerError
from decision.ledger import migrations, sqlite
from decision.ledger.sqlite import SqliteLedger
from decision.locks import FileLock
from decision.records import Consent, Customer
from decision.wiring import Home
from tests import support
from tests.support import NOW, bought, decided

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from decision.ledger.sqlite import SqliteLedger
from decision.records import Outcome

ledger = SqliteLedger(Path(sys.argv[1]))
n = 0
while True:
    at = datetime.now(UTC)
    facts = {"order_id": f"o-{n}", "revenue_micros": 1}
    ledger.record_outcomes([Outcome(f"m-{n}", "Order Completed", "c-1", at, facts)], now=at)
    print(f"m-{n}", flush=True)
    n += 1
"""


def test_a_killed_writer_loses_nothing_it_has_acknowledged(ledger: SqliteLedger) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(ledger.path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(200)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.stdout.read().split()
    assert writer.wait() == -signal.SIGKILL
    writer.stdout.close()
    kept = {row["message_id"] for row in ledger.rows("outcomes")}
    assert len(acknowledged) >= 200
    assert set(acknowledged) <= kept
    assert len(kept) - len(acknowledged) <= 1, "at most the one whose acknowledgement was cut off"
    assert ledger.customer("c-1").orders == len(kept), "her sums are part of the same transaction"
    assert ledger.record_outcomes([bought(NOW)], now=NOW) == 1, "its lock died with it"


def test_the_database_is_durable(ledger: SqliteLedger) -> None:
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# A promise: what version 0.1.0 wrote first is read for ever. Fields that came later are empty.
OLDEST_BODY = (
    '{"trigger":"purchase","store":null,"order_id":"o-1","policy_version":"business_as_usual",'
    '"allowed":["control","discount@on_page"],"distribution":[0.5,0.5],"context":{},"predictions":{},"rejected":[],'
    '"reasons":[],"expires_at":1775044800000000,"contact_cost_micros":0,"fingerprint":"body","coupon":"COUPON",'
    '"redemption_cost_micros":0,"redemption_share":0.1}'
)


def test_the_oldest_record_can_still_be_read(ledger: SqliteLedger) -> None:
    ledger.record_decision(decided(), (), seen_version=0)
    ledger._db.execute("UPDATE decisions SET body = ?", [OLDEST_BODY])
    assert ledger.decision("d-1") == structs.replace(decided(), promise=None, window_ends_at=None)


def test_migrating_twice_is_harmless(ledger: SqliteLedger) -> None:
    ledger.record_decision(decided(), (), seen_version=0)
    migrations.migrate(ledger.path)
    again = SqliteLedger.create(ledger.path)
    assert again.decision("d-1") == decided()
    again.close()


def test_an_upgrade_counts_each_order_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger of the first schema, whose totals had counted every event."""
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as then:
        then.setattr(migrations, "STEPS", migrations.STEPS[:1])
        migrations.migrate(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        told = [("m-1", "Order Completed", 7, 50), ("m-2", "Order Completed", 8, 50), ("m-3", "Order Refunded", 9, 5)]
        told += [("m-4", "Order Completed", -(10**17), 50), ("m-5", "Page Viewed", 9, 1)]
        for message_id, name, at, amount in told:
            facts = f'{{"order_id":"o-{min(at, 0)}","revenue_micros":{amount}}}'
            db.execute("INSERT INTO outcomes VALUES (NULL, ?, ?, 'c-1', ?, 0, ?)", [message_id, name, at, facts])
        db.execute("INSERT INTO customers VALUES ('c-1', 3, 1, 145, ?, 8, '{\"sms\":[false,7]}')", [-(10**17)])
    with pytest.raises(LedgerError, match="encore upgrade"):
        SqliteLedger(path)
    ledger = SqliteLedger.create(path)
    first = datetime(1970, 1, 1, microsecond=7, tzinfo=UTC)
    assert ledger.customer("c-1") == Customer("c-1", 1, 1, 45, first, first, {"sms": Consent(False, first)})
    ledger.close()


def test_a_ledger_from_before_prices_gets_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as then:
        then.setattr(migrations, "STEPS", migrations.STEPS[: migrations.STEPS.index("m004_shadow_prices")])
        migrations.migrate(path)
    with pytest.raises(LedgerError, match="encore upgrade"):
        SqliteLedger(path)
    ledger = SqliteLedger.create(path)
    assert ledger.shadow_price("month") is None
    ledger.close()


@pytest.mark.parametrize("how", ["opened as a home", "created"])
def test_several_may_create_the_same_ledger_at_once(tmp_path: Path, how: str) -> None:
    """Server and learner are started together on a fresh folder."""

    def open_(root: Path) -> SqliteLedger:
        return Home(root).ledger() if how == "opened as a home" else SqliteLedger.create(root / "ledger.db")

    for n in range(5):
        root = tmp_path / str(n)
        root.mkdir()
        with ThreadPoolExecutor(4) as pool:
            assert [ledger.counts()["decisions"] for ledger in pool.map(open_, [root] * 4)] == [0] * 4


def test_a_ledger_of_a_newer_encore_is_refused(ledger: SqliteLedger) -> None:
    row = [migrations.SET, "m999_from_the_future"]
    ledger._db.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, '2030-01-01')", row
    )
    for open_ in (SqliteLedger, SqliteLedger.create):
        with pytest.raises(LedgerError, match=r"found m999_from_the_future.*newer Encore"):
            open_(ledger.path)


def test_a_ledger_that_was_never_finished_asks_for_an_upgrade(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(LedgerError, match="encore upgrade"):
        SqliteLedger(tmp_path / "ledger.db")
    assert SqliteLedger.create(tmp_path / "ledger.db").counts()["decisions"] == 0


def test_a_copy_that_has_lost_its_mode_asks_for_an_upgrade(ledger: SqliteLedger, tmp_path: Path) -> None:
    ledger.record_decision(decided(), (), seen_version=0)
    copy = tmp_path / "copy.db"
    ledger._db.execute("VACUUM INTO ?", [str(copy)])
    with pytest.raises(LedgerError, match="encore upgrade"):
        SqliteLedger(copy)
    upgraded = SqliteLedger.create(copy)
    assert upgraded.decision("d-1") == decided()
    assert upgraded._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    upgraded.close()


def test_a_missing_ledger_asks_for_init(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="encore init"):
        SqliteLedger(tmp_path / "ledger.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("open_", [SqliteLedger, SqliteLedger.create])
def test_a_file_that_is_no_ledger_is_refused_in_a_sentence(tmp_path: Path, open_: type[SqliteLedger]) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(LedgerError, match="not a database"):
        open_(path)


def test_a_full_disk_is_an_error_and_then_the_ledger_works_on(ledger: SqliteLedger) -> None:
    (pages,) = ledger._db.execute("PRAGMA page_count").fetchone()
    ledger._db.execute(f"PRAGMA max_page_count = {pages}")
    big = [bought(NOW, f"o-{n}", note="x" * 4_000) for n in range(50)]
    with pytest.raises(LedgerError, match="full"):
        ledger.record_outcomes(big, now=NOW)
    assert ledger.counts()["outcomes"] == 0
    ledger._db.execute("PRAGMA max_page_count = 1000000")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ledger.record_outcomes, big, now=NOW).result(timeout=10) == 50
    assert ledger.record_outcomes(big, now=NOW) == 0


def test_a_commit_that_fails_leaves_no_transaction_behind(ledger: SqliteLedger) -> None:
    def no_commit(action: int, what: str | None, *_: object) -> int:
        commit = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if commit else sqlite3.SQLITE_OK

    ledger._db.set_authorizer(no_commit)
    with pytest.raises(LedgerError, match="not authorized"):
        ledger.move_cursor("x", 1)
    ledger._db.set_authorizer(None)
    assert not ledger._db.in_transaction
    with ThreadPoolExecutor(1) as pool:
        pool.submit(ledger.move_cursor, "x", 2).result(timeout=10)
    ledger.move_cursor("y", 3)
    assert (ledger.cursor("x"), ledger.cursor("y")) == (2, 3)


def descriptors(path: Path) -> int:
    links = (os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))
    return sum(link.startswith(str(path)) for link in links)


def test_threads_that_come_and_go_leak_no_descriptors(ledger: SqliteLedger) -> None:
    """A server recycles its threads: a descriptor a thread would end it within hours."""
    ledger.move_cursor("x", 0)
    counted = []
    for _ in range(2):
        for n in range(10):
            thread = threading.Thread(target=ledger.move_cursor, args=("x", n))
            thread.start()
            thread.join()
        counted.append(descriptors(ledger.path))
    assert counted[0] == counted[1] <= 8
    ledger.close()
    gc.collect()
    assert descriptors(ledger.path) == 0
    assert ledger.cursor("x") == 9, "a closed ledger opens again when it is asked"


def test_a_writer_that_does_not_come_to_an_end_is_not_waited_for(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CALLERS_PATIENCE", 0.1)
    stopped = FileLock(Path(f"{ledger.path}.lock"))
    assert stopped.acquire(patience=0.0)
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(LedgerError, match=r"within 0\.1 s"):
            ledger.record_decision(decided(), (), seen_version=0)
        with pytest.raises(LedgerError, match="another writer"):
            ledger.record_outcomes([bought(NOW)], now=NOW)
        assert time.monotonic() - began < 2.0
    stopped.release()
    ledger.record_decision(decided(), (), seen_version=0)
    assert ledger.record_outcomes([bought(NOW)], now=NOW) == 1


def test_threads_of_one_process_give_up_as_well(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CALLERS_PATIENCE", 0.1)
    with ledger._transaction(), ThreadPoolExecutor(3) as pool:
        late = [pool.submit(ledger.record_outcomes, [bought(NOW)], now=NOW) for _ in range(3)]
        for one in late:
            with pytest.raises(LedgerError, match="another writer"):
                one.result(timeout=5)
    assert ledger.record_outcomes([bought(NOW)], now=NOW) == 1


def test_a_writer_that_is_stopped_holds_up_no_reader(ledger: SqliteLedger) -> None:
    ledger.record_decision(decided(), (), seen_version=0)
    with ledger._transaction() as db, ThreadPoolExecutor(1) as pool:
        db.execute("INSERT INTO cursors VALUES ('x', 1)")
        assert pool.submit(ledger.decision, "d-1").result(timeout=5) == decided()
        assert pool.submit(ledger.cursor, "x").result(timeout=5) == 0


def test_a_ledger_from_before_there_were_keys_gets_room_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.db"
    with monkeypatch.context() as then:
        steps = tuple(takewhile(lambda step: not step.endswith("keys_and_audit"), migrations.STEPS))
        for room in (migrations, sqlite):
            then.setattr(room, "STEPS", steps)
        old = SqliteLedger.create(path)
        old.record_decision(decided(), (), seen_version=0)
        old.close()
    assert migrations.missing(path)[0].endswith("keys_and_audit")
    with pytest.raises(LedgerError, match="encore upgrade"):
        SqliteLedger(path)
    ledger = SqliteLedger.create(path)
    assert migrations.missing(path) == []
    assert (ledger.decision("d-1"), ledger.api_keys(), ledger.acts()) == (decided(), [], [])
    ledger.close()


def test_the_files_of_a_ledger_hold_no_secret(ledger: SqliteLedger) -> None:
    text = support.key_in(ledger, name="the till")
    files = b"".join(path.read_bytes() for path in ledger.path.parent.iterdir())
    assert b"the till" in files
    assert text[7:15].encode() in files
    assert text[16:].encode() not in files
