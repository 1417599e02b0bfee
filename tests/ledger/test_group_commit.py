"""Decisions that come at once are committed together, and each is still judged by itself."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from decision.errors import Conflict, LedgerError
from decision.ledger.sqlite import SqliteLedger
from decision.records import Reservation
from decision.stages.guardrails import Used
from tests.support import NOW, PROGRAMME, decided

N = 12


def record(ledger: SqliteLedger, number: int, *, limit: int, customer: str = "") -> str:
    """Return what became of a decision that takes a piece of a budget of `limit` pieces."""
    decision = decided(decision_id=f"d-{number}", customer_id=customer or f"c-{number}")
    try:
        ledger.record_decision(decision, [Reservation("b|programme", 1, None, limit)], seen_version=0)
    except Conflict as conflict:
        return "full" if conflict.exhausted else "conflict"
    except LedgerError:
        return "fault"
    return "written"


def waiting(ledger: SqliteLedger) -> int:
    return len(ledger._decisions._queue)


def in_one_group(ledger: SqliteLedger, pool: ThreadPoolExecutor, **options: object) -> list[str]:
    """Return what became of N decisions that all wait before the first turn comes."""
    with ledger._transaction():
        asked = [pool.submit(record, ledger, n, **options) for n in range(N)]  # type: ignore[arg-type]
        end = time.monotonic() + 5.0
        while waiting(ledger) < N and time.monotonic() < end:
            time.sleep(0.001)
        assert waiting(ledger) == N
    return [one.result(timeout=10) for one in asked]


def commits(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the sizes of the groups that are committed from here on."""
    sizes: list[int] = []
    record_all = ledger._decisions._apply

    def counted(db: sqlite3.Connection, writes: list[object]) -> object:
        sizes.append(len(writes))
        return record_all(db, writes)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger._decisions, "_apply", counted)
    return sizes


def test_who_waits_is_committed_together(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = commits(ledger, monkeypatch)
    with ThreadPoolExecutor(N) as pool:
        assert in_one_group(ledger, pool, limit=100) == ["written"] * N
    assert sizes == [N]
    assert ledger.used(["b|programme"]) == {"b|programme": Used(N, N)}


def test_each_sees_what_those_before_it_in_the_group_took(ledger: SqliteLedger) -> None:
    with ThreadPoolExecutor(N) as pool:
        found = Counter(in_one_group(ledger, pool, limit=5))
    assert found == {"written": 5, "full": N - 5}
    assert ledger.used(["b|programme"]) == {"b|programme": Used(5, 5)}
    assert ledger.counts()["decisions"] == ledger.counts()["unfinished"] == 5


def test_of_one_customer_in_a_group_only_the_first_is_written(ledger: SqliteLedger) -> None:
    with ThreadPoolExecutor(N) as pool:
        found = Counter(in_one_group(ledger, pool, limit=100, customer="c"))
    assert found == {"written": 1, "conflict": N - 1}


def test_a_fault_of_the_transaction_reaches_everybody_and_the_next_are_served(ledger: SqliteLedger) -> None:
    def no_commit(action: int, what: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, what) == (sqlite3.SQLITE_TRANSACTION, "COMMIT") else sqlite3.SQLITE_OK

    with ThreadPoolExecutor(N) as pool:
        barrier = threading.Barrier(N)

        def deny(handler: object) -> None:
            barrier.wait()
            ledger._db.set_authorizer(handler)  # type: ignore[arg-type]
            barrier.wait()

        list(pool.map(deny, [no_commit] * N))
        assert in_one_group(ledger, pool, limit=100) == ["fault"] * N
        list(pool.map(deny, [None] * N))
        assert ledger.counts()["decisions"] == 0
        assert in_one_group(ledger, pool, limit=100) == ["written"] * N


def test_who_loses_patience_writes_nothing_later(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(N) as pool:
        with monkeypatch.context() as impatient, ledger._transaction():
            impatient.setattr("decision.ledger.sqlite.CALLERS_PATIENCE", 0.1)
            found = [pool.submit(record, ledger, n, limit=100) for n in range(N)]
            assert [one.result(timeout=5) for one in found] == ["fault"] * N
        assert waiting(ledger) == 0
        assert ledger.counts()["decisions"] == 0
        assert [pool.submit(record, ledger, n, limit=100).result(timeout=5) for n in range(N)] == ["written"] * N


PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from decision.flow.decide import decide
from decision.ledger.sqlite import SqliteLedger
from decision.programme.read import parse_programme
from decision.records import DecisionRequest, Order
from decision.serving import Serving

path, name, text, now = sys.argv[1:]
serving, ledger = Serving(parse_programme(text), None), SqliteLedger(Path(path))

def one(n):
    order = Order(order_id="o", total_micros=60_000_000)
    asked = DecisionRequest(f"{name}-{n}", f"{name}-{n}", "purchase", order, None, "body")
    decision = decide(asked, serving=serving, ledger=ledger, now=datetime.fromisoformat(now))
    sys.stdout.write(f"{decision.decision_id} {decision.action_id}\\n")
    sys.stdout.flush()

with ThreadPoolExecutor(8) as pool:
    list(pool.map(one, range(100_000)))
"""


def test_processes_that_are_killed_lose_nothing_they_acknowledged(tmp_path: Path) -> None:
    """Three processes of eight threads fight for a budget; each is killed in the middle of it."""
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    shares = "\n[measurement_groups]\nholdout = 0.0\nrandom = 0.5\nbusiness_as_usual = 0.5\npolicy = 0.0\n"
    text = PROGRAMME + shares + '[budgets.b]\ncount = 60\n[budgets.money]\namount = "300.00"\n'
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(ledger.path), name, text, NOW.isoformat()],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "abc"
    ]
    acknowledged: dict[str, str] = {}
    for process in running:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(60)]
        os.kill(process.pid, signal.SIGKILL)
        # What was being printed at the end may be torn.
        lines += process.stdout.read().splitlines(keepends=True)
        acknowledged |= dict(line.split() for line in lines if line.endswith("\n"))
        process.stdout.close()
        process.wait(timeout=10)
    assert len(acknowledged) >= 180
    held = {row["decision_id"]: row["action_id"] for row in ledger.rows("decisions")}
    assert held | acknowledged == held
    assert record(ledger, 1, limit=61, customer="another") == "written", "the dead keep nobody out"
    with closing(sqlite3.connect(ledger.path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        reserved = db.execute("SELECT budget_key, SUM(amount_micros), SUM(count) FROM reservations GROUP BY 1")
        taken = db.execute("SELECT budget_key, amount_micros, count FROM budget_use")
        sums = {row[0]: row[1:] for row in reserved}
        assert sums == {row[0]: row[1:] for row in taken}
        body = db.execute("SELECT body FROM decisions ORDER BY seq LIMIT 1").fetchone()[0]
        assert json.loads(body)["fingerprint"] == "body"
    assert sums["b|programme"][1] <= 61
    assert sums["money|programme"][0] <= 300_000_000
    ledger.close()
