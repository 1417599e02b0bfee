"""The audit finds what is lost, doubled or wrong; on a sound ledger it finds nothing."""

import sqlite3
from contextlib import closing

import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.records import Reservation
from experiments.faults.audit import Audit, audit
from experiments.faults.soak import Soaked, Window, rows, table
from experiments.faults.tills import Answer
from tests.support import NOW, bought, decided

PIECE = Reservation("b|programme", 6_000_000, None, 100)
GIVEN = "discount@on_page"


@pytest.fixture
def ledger(ledger: SqliteLedger) -> SqliteLedger:
    for name in ("one", "two"):
        ledger.record_decision(decided(decision_id=name, customer_id=name), [PIECE], seen_version=0)
    ledger.record_outcomes([bought(NOW, "o-one", customer_id="one", message_id="m-o-one")], now=NOW)
    return ledger


def told(name: str, action: str = GIVEN, *, recorded: bool = True, at: float = 0.0) -> Answer:
    return Answer(name, "made" if recorded else "control", at, 0.01, action, recorded)


def change(ledger: SqliteLedger, sql: str) -> None:
    with closing(sqlite3.connect(ledger.path)) as db, db:
        db.execute(sql)


def found(ledger: SqliteLedger, *answers: Answer, orders: dict[str, str] | None = None) -> Audit:
    return audit(ledger.path, answers, {"o-one": "one"} if orders is None else orders)


def test_nothing_is_wrong(ledger: SqliteLedger) -> None:
    retried = (
        told("one", "control", recorded=False),
        told("one"),
        told("one"),
        told("never", "control", recorded=False),
    )
    assert found(ledger, *retried).sound


def test_what_is_lost(ledger: SqliteLedger) -> None:
    assert found(ledger, told("gone")).lost == ("gone",)
    assert found(ledger, told("one", "thanks@email")).lost == ("one",), "held with another action"
    assert found(ledger, orders={"o-gone": "one", "o-one": "one"}).lost == ("o-gone",)


def test_what_is_doubled(ledger: SqliteLedger) -> None:
    assert found(ledger, told("one"), told("one", "control")).doubled == ("one",), "answered in two ways"
    assert found(ledger, told("one", "control", recorded=False)).doubled == ("one",), "an offer nobody was told of"
    change(ledger, "UPDATE customers SET orders = 2 WHERE customer_id = 'one'")
    assert found(ledger).doubled == ("one",)


def test_budgets_that_are_not_their_reservations(ledger: SqliteLedger) -> None:
    change(ledger, "UPDATE budget_use SET count = count + 1")
    assert "says [12000000, 3]" in found(ledger).ledger[0]
    change(ledger, "DELETE FROM budget_use")
    assert found(ledger).ledger == ("budget b|programme is reserved and not counted",)


def test_the_table_gives_each_answer_to_the_fault_it_met() -> None:
    answers = (
        told("before", at=0.0),
        told("into", at=0.995),
        Answer("broken", "broken", 1.5, 0.01),
        Answer("shed", "shed", 1.6, 0.01),
        Answer("late", "control", 1.7, 0.5, "control"),
        told("after", at=3.1),
    )
    of = Soaked((Window("kill", 1.0, 2.0, 3.0),), answers, Audit(("into", "o-after"), ("late",), ()), 0.05)
    kill, quiet = rows(of)
    assert (kill.fault, kill.times, kill.asked, kill.made, kill.control) == ("kill", 1, 4, 1, 1)
    assert (kill.turned_away, kill.no_answer, kill.in_time, kill.lost, kill.doubled) == (1, 1, 2, 1, 1)
    assert (quiet.asked, quiet.made, quiet.lost, quiet.doubled, kill.back_seconds) == (2, 2, 1, 0, 1.0)
    assert "66.7%" in table(of)
