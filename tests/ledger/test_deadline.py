"""A ledger that can't answer in time says so in time, and what comes to be written all the same holds nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from decision.errors import DeadlinePassed
from decision.ledger import group_commit
from decision.ledger.codec import to_us
from decision.ledger.sqlite import SqliteLedger
from decision.locks import FileLock
from decision.records import CONTROL, Decision, Reservation
from decision.stages.guardrails import Used
from tests.support import DAY, NOW, SECOND, decided

SOON = 0.05
# What no machine is too slow for.
AGES = 20.0
PIECE = Reservation("b|programme", 6_000_000, None, 100)


def write(ledger: SqliteLedger, name: str, *, seconds: float = AGES) -> str:
    """Return what became of a decision that takes a piece of a budget, within a deadline."""
    try:
        with ledger.within(seconds):
            ledger.record_decision(decided(decision_id=name, customer_id=name), [PIECE], seen_version=0)
    except DeadlinePassed:
        return "late"
    return "written"


def found(ledger: SqliteLedger, name: str) -> Decision:
    decision = ledger.decision(name)
    assert decision is not None
    return decision


def taken(ledger: SqliteLedger) -> Used:
    return ledger.used([PIECE.budget_key]).get(PIECE.budget_key, Used())


def test_the_rehearsal_of_a_write_gives_up_in_time_where_another_program_holds_the_ledger(ledger: SqliteLedger) -> None:
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DeadlinePassed):
            ledger.rehearse(SOON)
        other.execute("ROLLBACK")
    ledger.rehearse(AGES)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + AGES
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


@contextmanager
def stalled(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the next group from being committed once it is taken, as a disk does that has stopped."""
    goes_on, record = threading.Event(), ledger._decisions._apply

    def slowly(*arguments: object) -> object:
        assert goes_on.wait(AGES)
        return record(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(ledger._decisions, "_apply", slowly)
        yield
        goes_on.set()


def given_up(ledger: SqliteLedger, pool: ThreadPoolExecutor, names: Sequence[str]) -> Future[str]:
    """Return the leader of a group that is held up, after all others in it have given up."""
    with ledger._transaction():
        leader = pool.submit(write, ledger, "leader")
        until(lambda: len(ledger._decisions._queue) == 1)
        others = [pool.submit(write, ledger, name, seconds=0.5) for name in names]
        until(lambda: len(ledger._decisions._queue) == 1 + len(names))
    assert [one.result(AGES) for one in others] == ["late"] * len(names)
    return leader


def test_who_is_late_for_her_turn_has_written_nothing_and_may_come_again(ledger: SqliteLedger) -> None:
    another = FileLock(Path(f"{ledger.path}.lock"))
    assert another.acquire(patience=0.0)
    began = time.monotonic()
    assert write(ledger, "d", seconds=SOON) == "late"
    assert time.monotonic() - began < AGES / 4
    another.release()
    assert (ledger.decision("d"), taken(ledger)) == (None, Used())
    assert write(ledger, "d") == "written"
    assert found(ledger, "d").action_id == "discount@on_page"


def test_another_program_that_holds_the_ledger_is_not_waited_for(ledger: SqliteLedger) -> None:
    with closing(sqlite3.connect(ledger.path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        assert write(ledger, "d", seconds=SOON) == "late"
        shell.execute("ROLLBACK")
    assert write(ledger, "d") == "written"


def test_nor_is_one_that_lets_nobody_read(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqliteLedger.create(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("PRAGMA locking_mode = EXCLUSIVE")
        shell.execute("BEGIN IMMEDIATE")
        shell.execute("COMMIT")
        with pytest.raises(DeadlinePassed, match="another program"):
            SqliteLedger(path)
    ledger = SqliteLedger(path)
    assert write(ledger, "d") == "written"
    ledger.close()


def test_a_lookup_that_takes_too_long_ends(ledger: SqliteLedger) -> None:
    first = decided(customer_id="c")
    ledger.record_decision(first, (), seen_version=0)
    with closing(sqlite3.connect(ledger.path)) as db, db:
        columns = [row[1] for row in db.execute("PRAGMA table_info(decisions)")]
        own = ", ".join("'d-' || n" if c == "decision_id" else c for c in columns if c != "seq")
        db.execute(
            "WITH RECURSIVE more (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM more WHERE n < 300000) "
            f"INSERT INTO decisions ({', '.join(c for c in columns if c != 'seq')}) SELECT {own} FROM more, decisions "
            "WHERE decision_id = 'd-1'"
        )
    with pytest.raises(DeadlinePassed, match="more to read"), ledger.within(0.005):
        ledger.customer("c", contacts_since=NOW - DAY)
    assert len(ledger.customer("c", contacts_since=NOW - DAY).contacts) == 300_000


def test_what_is_committed_after_its_caller_gave_up_says_control_and_holds_nothing(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("d-1", "d-2", "d-3")
    with ThreadPoolExecutor(4) as pool:
        with stalled(ledger, monkeypatch):
            leader = given_up(ledger, pool, names)
        assert leader.result(AGES) == "written", "her own caller waits with her"
    assert [found(ledger, name).action_id for name in names] == [CONTROL] * 3, "also before any row is corrected"
    until(lambda: not ledger._withdrawn.marks())
    for name in names:
        kept = found(ledger, name)
        assert (kept.action_id, kept.propensity, kept.allowed, kept.coupon) == (CONTROL, 1.0, (CONTROL,), None)
        assert [code for code, _ in kept.reasons] == ["deadline"]
        assert ledger.customer(name).contacts == ()
    assert found(ledger, "leader").action_id == "discount@on_page"
    assert taken(ledger) == Used(PIECE.amount_micros, 1)
    assert ledger.expired(now=NOW + 400 * DAY, limit=10) == [found(ledger, "leader")], "nothing else is held"
    assert write(ledger, "d-4") == "written"


def test_what_was_given_up_and_is_not_committed_may_be_asked_again(
    ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor(2) as pool:
        with stalled(ledger, monkeypatch):
            leader = given_up(ledger, pool, ["d"])
            monkeypatch.setattr("decision.ledger.writing.insert_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            leader.result(AGES)
        monkeypatch.undo()
    until(lambda: not ledger._withdrawn.marks())
    assert ledger.decision("d") is None
    assert write(ledger, "d") == "written"
    assert found(ledger, "d").action_id == "discount@on_page"


def test_who_cannot_note_that_she_gave_up_waits(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk it would stay unknown what her customer was told: rather late than wrong."""
    with ThreadPoolExecutor(2) as pool, stalled(ledger, monkeypatch):
        tried = threading.Event()

        def full(_: object) -> None:
            tried.set()
            raise OSError

        monkeypatch.setattr(ledger._decisions, "_withdraw", full)
        with ledger._transaction():
            leader = pool.submit(write, ledger, "leader")
            until(lambda: len(ledger._decisions._queue) == 1)
            other = pool.submit(write, ledger, "d", seconds=0.3)
            until(lambda: len(ledger._decisions._queue) == 2)
        assert tried.wait(AGES)
        assert not other.done()
        until_told = [leader, other]
    assert [one.result(AGES) for one in until_told] == ["written", "written"]


def test_all_processes_read_control_until_one_has_corrected_it(tmp_path: Path) -> None:
    """Of two processes, one is killed after it has answered control and before it could correct the row."""
    one = SqliteLedger.create(tmp_path / "ledger.db")
    another = SqliteLedger(one.path)
    for name in ("kept", "given-up"):
        assert write(one, name) == "written"
    one._withdrawn.add(("given-up", to_us(NOW)))
    assert [found(another, name).action_id for name in ("kept", "given-up")] == ["discount@on_page", CONTROL]
    assert taken(another) == Used(2 * PIECE.amount_micros, 2)
    assert write(another, "later") == "written"
    assert another._withdrawn.marks() == frozenset()
    assert (found(one, "given-up").action_id, taken(one)) == (CONTROL, Used(2 * PIECE.amount_micros, 2))
    one._withdrawn.add(("later", to_us(NOW)))
    third = SqliteLedger(one.path)
    assert (found(third, "later").action_id, taken(third).count) == (CONTROL, 1), "opening it corrects it as well"
    for ledger in (one, another, third):
        ledger.close()


def test_a_repeat_that_gave_up_leaves_what_the_first_was_answered(ledger: SqliteLedger) -> None:
    assert write(ledger, "d") == "written"
    ledger._withdrawn.add(("d", to_us(NOW + SECOND)))
    assert write(ledger, "other") == "written"
    assert (found(ledger, "d").action_id, taken(ledger).count) == ("discount@on_page", 2)


def test_while_the_disk_is_slow_no_caller_leads(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    leaders: list[str] = []
    record = ledger._decisions._apply

    def noted(*arguments: object) -> object:
        leaders.append(threading.current_thread().name)
        return record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger._decisions, "_apply", noted)
    monkeypatch.setattr(group_commit, "SLOW_SECONDS", 0.0)
    assert [write(ledger, f"slow-{n}") for n in range(3)] == ["written"] * 3
    monkeypatch.setattr(group_commit, "SLOW_SECONDS", AGES)
    assert [write(ledger, f"quick-{n}") for n in range(3)] == ["written"] * 3
    here = threading.current_thread().name
    assert leaders == [here, "commit", "commit", "commit", here, here]
