"""What is older than its limit goes, and nothing else: not what is unfinished, not what a reward is made of."""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from decision.cli import main
from decision.errors import InvalidProgramme
from decision.flow import retain as page
from decision.flow.decide import decide
from decision.flow.retain import retain, would_go
from decision.flow.sweep import sweep
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme, Retention
from decision.records import Group
from decision.serving import Serving
from decision.wiring import Home
from tests.support import DAY, NOW, PROGRAMME, asked, bought, budget, micros, only, order, programme, refunded

SHOP = only(
    Group.RANDOM,
    budgets=(budget(amount_micros=micros(1000)),),
    retention=Retention(decisions_days=120, events_days=120, customers_days=120),
)
LATER = NOW + 200 * DAY


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a shop with a decision and an order a day for two hundred days."""
    home = Home(tmp_path)
    ledger = home.ledger()
    for n in range(200):
        now = NOW + n * DAY
        request = asked(f"d-{n}", f"c-{n}", order=order(f"o-{n}"))
        decision = decide(request, serving=Serving(SHOP, None), ledger=ledger, now=now)
        event = bought(now + DAY, f"o-{n}-2", coupon=decision.coupon, customer_id=f"c-{n}", message_id=f"m-{n}")
        ledger.record_outcomes([event], now=now + DAY)
    sweep(programme=SHOP, ledger=ledger, now=LATER)
    return home


def ids(home: Home, table: str, column: str = "decision_id") -> set[str]:
    with closing(sqlite3.connect(home.ledger_path)) as db:
        return {value for (value,) in db.execute(f"SELECT {column} FROM {table}")}


def run(home: Home, shop: Programme = SHOP, now: datetime = LATER) -> dict[str, int]:
    return retain(path=home.ledger_path, ledger=home.ledger(), programme=shop, now=now)


def without_budgets(retention: Retention = SHOP.retention) -> Programme:
    return replace(SHOP, budgets=(), retention=retention)


def test_exactly_what_is_older_than_the_limit_goes_with_its_rewards_and_events(home: Home) -> None:
    young = {f"d-{n}" for n in range(80, 200)}
    before = {one: home.ledger().reward(one) for one in young}
    # The event of day 80 belongs to the decision of day 79, a day older.
    removed = run(home, without_budgets())
    assert removed["decisions"] == 80
    assert removed["events"] == 79
    assert ids(home, "decisions") == young
    assert ids(home, "rewards") <= young
    assert ids(home, "reservations") <= young
    assert ids(home, "outcomes", "message_id") == {f"m-{n}" for n in range(79, 200)}
    assert {one: home.ledger().reward(one) for one in young} == before


def test_a_refund_after_the_removal_finds_all_orders_of_what_stays(home: Home) -> None:
    run(home, without_budgets(Retention(events_days=120)))
    late = LATER - 5 * DAY
    ledger = home.ledger()
    ledger.record_outcomes([refunded(late, "o-5-2", customer_id="c-5", message_id="late")], now=LATER)
    sweep(programme=SHOP, ledger=ledger, now=LATER)
    reward = ledger.reward("d-5")
    assert reward is not None
    assert reward.visited
    assert not reward.repurchased
    other = ledger.reward("d-6")
    assert other is not None
    assert other.repurchased


def test_what_is_unfinished_stays_however_old(tmp_path: Path) -> None:
    home = Home(tmp_path)
    ledger = home.ledger()
    for n in range(5):
        decide(asked(f"d-{n}", f"c-{n}"), serving=Serving(SHOP, None), ledger=ledger, now=NOW)
    assert run(home, without_budgets()) == {}
    sweep(programme=SHOP, ledger=ledger, now=LATER)
    later = LATER + DAY
    # The newest decision stays: its number must not be given away again.
    assert run(home, without_budgets(), later)["decisions"] == 4


def test_what_a_budget_that_is_still_open_may_get_back_stays(home: Home) -> None:
    held = ids(home, "reservations")
    assert held
    run(home)
    old = {f"d-{n}" for n in range(80)}
    assert ids(home, "decisions") & old == held & old


def test_numbers_are_never_used_again(home: Home) -> None:
    run(home, without_budgets(), LATER + 3000 * DAY)
    ledger = home.ledger()
    with closing(sqlite3.connect(home.ledger_path)) as db:
        newest = db.execute("SELECT MAX(seq) FROM decisions").fetchone()[0]
    decide(asked("new", "new"), serving=Serving(SHOP, None), ledger=ledger, now=LATER)
    with closing(sqlite3.connect(home.ledger_path)) as db:
        assert newest == 200
        assert db.execute("SELECT seq FROM decisions WHERE decision_id = 'new'").fetchone()[0] == 201


def test_a_round_is_bounded_and_the_next_goes_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST", 30)
    shop = without_budgets(Retention(decisions_days=120))
    assert [run(home, shop).get("decisions", 0) for _ in range(4)] == [30, 30, 20, 0]


def test_what_would_go_is_told_and_left(home: Home) -> None:
    shop = without_budgets(Retention(decisions_days=120))
    assert would_go(path=home.ledger_path, programme=shop, now=LATER) == {"decisions": 80}
    assert len(ids(home, "decisions")) == 200


def test_decisions_are_made_meanwhile_and_all_stay(home: Home) -> None:
    def write(worker: int) -> None:
        ledger = SqliteLedger(home.ledger_path)
        for n in range(25):
            name = f"new-{worker}-{n}"
            decide(asked(name, name), serving=Serving(SHOP, None), ledger=ledger, now=LATER)
        ledger.close()

    workers = [threading.Thread(target=write, args=(k,)) for k in range(3)]
    for worker in workers:
        worker.start()
    run(home, without_budgets())
    for worker in workers:
        worker.join()
    assert {f"new-{k}-{n}" for k in range(3) for n in range(25)} <= ids(home, "decisions")


def test_totals_of_budgets_stay(home: Home) -> None:
    with closing(sqlite3.connect(home.ledger_path)) as db:
        before = db.execute("SELECT * FROM budget_use ORDER BY 1").fetchall()
    run(home, without_budgets())
    with closing(sqlite3.connect(home.ledger_path)) as db:
        assert db.execute("SELECT * FROM budget_use ORDER BY 1").fetchall() == before


def test_customers_go_when_nothing_of_theirs_is_left(home: Home) -> None:
    run(home, without_budgets())
    assert ids(home, "customers", "customer_id") == {f"c-{n}" for n in range(79, 200)}
    assert ids(home, "orders", "customer_id") == {f"c-{n}" for n in range(79, 200)}


def test_a_limit_shorter_than_what_is_read_back_is_refused() -> None:
    with pytest.raises(InvalidProgramme, match="decisions_days: expected at least 104 days, found 60"):
        programme(add="\n[retention]\ndecisions_days = 60\n")
    assert programme(add="\n[retention]\ndecisions_days = 104\n").retention.days() == {"decisions": 104}


def test_the_command_and_the_learners_round_say_how_much(home: Home) -> None:
    home.programme_path.write_text(PROGRAMME + "\n[retention]\ndecisions_days = 104\n")
    # By the clock of the machine the decisions are of another time: made older by hand.
    with closing(sqlite3.connect(home.ledger_path)) as db:
        db.execute("UPDATE decisions SET decided_at = decided_at - 86400000000 * 2000")
        db.commit()
    told = CliRunner().invoke(main, ["--home", str(home.root), "retention"])
    assert told.output.startswith("Past their limit: 1"), told.output
    assert len(ids(home, "decisions")) == 200
    learned = CliRunner().invoke(main, ["--home", str(home.root), "learn", "--once"])
    assert " decisions past their limit" in learned.output, learned.output
    assert len(ids(home, "decisions")) < 100


def test_what_is_removed_is_overwritten(home: Home) -> None:
    before = ids(home, "decisions")
    run(home, without_budgets())
    gone = before - ids(home, "decisions")
    with closing(sqlite3.connect(home.ledger_path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    left = home.ledger_path.read_bytes()
    # Each id is in its row, and in an index, between others.
    found = [decision_id for decision_id in gone if f'o-{decision_id[2:]}",'.encode() in left]
    assert len(gone) > 50
    assert len(found) < len(gone) / 10
