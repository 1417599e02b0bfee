"""`/readyz` says whether the ledger can be written, within a second, however often it is asked."""

import threading
import time
from pathlib import Path

import pytest

from decision.api.app import create_app
from decision.errors import DeadlinePassed, LedgerError
from decision.ledger.sqlite import SqliteLedger
from decision.watching import readiness
from decision.watching.readiness import Readiness
from decision.wiring import Home, Shop


def failing(_: float) -> None:
    raise LedgerError("Expected room, found none.")


def test_it_says_why_nothing_can_be_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(SqliteLedger, "rehearse", lambda _, patience: failing(patience))
        answer = create_app(Shop(home)).test_client().get("/readyz")
        assert answer.status_code == 503
        assert answer.get_json()["type"] == "urn:encore:problem:ledger-unavailable"
        assert "found none" in answer.get_json()["detail"]
    assert create_app(Shop(home)).test_client().get("/readyz").status_code == 200


def test_the_disk_is_asked_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH", 3_600.0)
    asked: list[float] = []
    ready = Readiness(asked.append)
    assert [ready.fault() for _ in range(50)] == [""] * 50
    assert len(asked) == 1


def test_what_was_wrong_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH", 0.0)
    full = [True]

    def rehearse(patience: float) -> None:
        if full[0]:
            failing(patience)

    ready = Readiness(rehearse)
    assert ready.fault() == "Expected room, found none."
    full[0] = False
    assert ready.fault() == ""


def test_any_other_fault_is_not_taken_for_success() -> None:
    def broken(_: float) -> None:
        raise ZeroDivisionError

    assert "ZeroDivisionError" in Readiness(broken).fault()


def test_a_disk_that_hangs_holds_one_thread_and_nobody_who_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE", 0.05)
    monkeypatch.setattr(readiness, "FRESH", 0.0)
    monkeypatch.setattr(readiness, "LONG", 0.0)
    goes_on, tried = threading.Event(), []

    def hang(_: float) -> None:
        tried.append(1)
        goes_on.wait()

    ready = Readiness(hang)
    assert ["none that came to an end" in ready.fault() for _ in range(20)] == [True] * 20
    assert len(tried) == 1
    goes_on.set()
    end = time.monotonic() + 20.0
    while ready.fault():
        assert time.monotonic() < end


def test_a_ledger_that_is_busy_is_a_fault_only_when_it_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FRESH", 0.0)
    busy = [True]

    def rehearse(_: float) -> None:
        if busy[0]:
            raise DeadlinePassed("Expected a turn.")

    ready = Readiness(rehearse)
    assert [ready.fault(), ready.fault()] == ["", ""]
    monkeypatch.setattr(readiness, "LONG", 0.0)
    assert "none that came to an end" in ready.fault()
    busy[0] = False
    assert ready.fault() == ""
    monkeypatch.setattr(readiness, "LONG", 10.0)
    busy[0] = True
    assert ready.fault() == "", "it counts from when it began anew"


def test_the_rehearsal_really_writes_and_leaves_all_as_it_was(ledger: SqliteLedger, tmp_path: Path) -> None:
    wal = tmp_path / "ledger.db-wal"
    before, size = ledger.counts(), wal.stat().st_size
    ledger.rehearse(20.0)
    assert ledger.counts() == before
    assert wal.stat().st_size > size
