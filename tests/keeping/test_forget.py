"""Forgetting one customer: her bytes are gone, all figures are the same."""

import json
import secrets
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from decision.cli import main
from decision.errors import Conflict
from decision.flow.decide import decide
from decision.flow.forget import UNDER_WAY, forget
from decision.flow.sweep import sweep
from decision.ledger import forget as forgetting
from decision.ledger.sqlite import SqliteLedger
from decision.records import Customer, Group
from decision.serving import Serving
from decision.stages.groups import is_held_out
from decision.wiring import Home
from tests.support import (
    DAY,
    NOW,
    PROGRAMME,
    asked,
    bought,
    budget,
    decided,
    micros,
    only,
    order,
    outcome,
    programme,
    refunded,
)

HER = "anna.unique@example.org"


def encore(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--home", str(home.root), *arguments])


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A shop with a past, made once: every test forgets in a copy of its own."""
    home = Home(tmp_path_factory.mktemp("template"))
    home.programme_path.write_text(PROGRAMME)
    shop = only(Group.RANDOM, budgets=(budget(amount_micros=micros(1000)),))
    ledger = home.ledger()
    for n in range(300):
        name = HER if n % 30 == 7 else f"other-{n}"
        request = asked(f"her-decision-{n}" if name == HER else f"d-{n}", name, order=order(f"{name}-{n}"))
        decision = decide(request, serving=Serving(shop, None), ledger=ledger, now=NOW + n * DAY / 100)
        at, new = decision.decided_at + DAY, "her-second-order" if name == HER else f"o-second-{n}"
        events = [
            bought(at, f"{new}-{n}", coupon=decision.coupon, customer_id=name, message_id=f"{name}-her-message-{n}"),
            outcome("Product Viewed", at, customer_id=name, message_id=f"{name}-viewed-{n}", note="her street"),
        ]
        if n % 4 == 3:
            events.append(refunded(at + DAY, f"{new}-{n}", customer_id=name, message_id=f"{name}-refund-{n}"))
        ledger.record_outcomes(events, now=at)
        sweep(programme=shop, ledger=ledger, now=NOW + n * DAY / 100)
    ledger.close()
    return home


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    shutil.copytree(template.root, tmp_path / "home")
    return Home(tmp_path / "home")


def figures(home: Home) -> dict[str, Any]:
    """Return what is counted, without any name."""
    ledger, salt = SqliteLedger(home.ledger_path), programme().salt
    decisions = [
        (d["seq"], d["decided_at"], d["action_id"], d["grp"], d["propensity"], is_held_out(d["customer_id"], salt=salt))
        for d in ledger.rows("decisions")
    ]
    rewarded = [(r.decision.distribution, r.decision.context, r.decision.allowed) for r in ledger.rewarded()]
    rewards = [{k: v for k, v in r.items() if k != "decision_id"} for r in ledger.rows("rewards")]
    used = ledger.used(["b|programme"])
    ledger.close()
    return {"decisions": decisions, "rewarded": rewarded, "rewards": rewards, "used": used}


def test_her_bytes_are_gone_and_the_figures_are_the_same(home: Home) -> None:
    before, held = figures(home), json.loads(encore(home, "customer", "export", HER).stdout)
    assert (len(held["decisions"]), len(held["orders"]), held["profile"]["customer_id"]) == (10, 10, HER)
    serving = SqliteLedger(home.ledger_path)
    assert serving.customer(HER).orders > 0
    done = encore(home, "forget", HER)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"Forgot 10 decisions and {len(held['events'])} events.\n")
    for file in home.root.glob("ledger.db*"):
        found = file.read_bytes()
        assert HER.encode() not in found, file
        for event in held["events"]:
            assert event["message_id"].encode() not in found
        for decision in held["decisions"]:
            assert decision["decision_id"].encode() not in found
            assert decision["coupon"] is None or decision["coupon"].encode() not in found
    assert figures(home) == before
    assert serving.customer(HER).orders == 0
    (act,) = [act for act in serving.acts() if act.act == "customer forgotten"]
    assert (act.detail["decisions"], HER in str(act)) == (10, False)
    serving.close()
    unknown = encore(home, "customer", "export", HER)
    assert (unknown.exit_code, "Expected a customer that the ledger knows" in unknown.stderr) == (2, True)


def test_rewards_go_on_maturing_as_they_would_have(home: Home, tmp_path: Path) -> None:
    shop, later = programme(), NOW + 400 * DAY
    copy = tmp_path / "copy.db"
    assert SqliteLedger(home.ledger_path)._db.execute("VACUUM INTO ?", [str(copy)])
    assert encore(home, "forget", HER).exit_code == 0
    sums = []
    for path in (copy, home.ledger_path):
        ledger = SqliteLedger.create(path)
        sweep(programme=shop, ledger=ledger, now=later)
        sums.append([{k: v for k, v in r.items() if k != "decision_id"} for r in ledger.rows("rewards")])
        ledger.close()
    assert sums[0] == sums[1]
    assert any(r["redeemed"] for r in sums[0])


def test_she_may_come_back_as_somebody_new(home: Home) -> None:
    assert encore(home, "forget", HER).exit_code == 0
    ledger = home.ledger()
    assert ledger.record_outcomes([bought(NOW, "o-new", customer_id=HER)], now=NOW) == 1
    assert ledger.customer(HER).orders == 1
    ledger.close()


def test_a_decision_under_way_has_seen_another_past(home: Home) -> None:
    ledger = home.ledger()
    seen = ledger.customer(HER).version
    assert seen > 0
    assert encore(home, "forget", HER).exit_code == 0
    with pytest.raises(Conflict):
        ledger.record_decision(decided(decision_id="late", customer_id=HER), [], seen_version=seen)
    assert ledger.customer(HER) == Customer(HER)
    ledger.close()


def test_a_first_decision_under_way_is_looked_for_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """She had events and no decision: what was decided from them is written just after she was forgotten."""
    monkeypatch.setattr(forgetting, "_rebuild", lambda *_: pytest.fail("rebuilt"))
    ledger = home.ledger()
    new = "new.unique@example.org"
    ledger.record_outcomes([bought(NOW, "o-of-new", customer_id=new)], now=NOW)
    waited: list[float] = []

    def meanwhile(seconds: float) -> None:
        waited.append(seconds)
        ledger.record_decision(decided(decision_id="late", customer_id=new), [], seen_version=0)

    names = (secrets.token_hex(16) for _ in count())
    done = forget(
        home.ledger_path, new, programme=programme(), names=names.__next__, actor="tester", now=NOW, wait=meanwhile
    )
    assert (done.decisions, done.events, waited) == (1, 1, [UNDER_WAY])
    assert forgetting.scrub(home.ledger_path, done)
    assert not holds(home, new)
    assert ledger.decision("late") is None
    again = [act.detail for act in ledger.acts() if act.act == "customer forgotten"]
    assert again == [{"decisions": 0, "events": 1}, {"decisions": 1, "events": 0}]
    ledger.close()


KILLED = """
import os, signal, sys
from decision.cli import main
from decision.ledger import forget

class Dying(forget.Connections):
    def close(self):
        os.kill(os.getpid(), signal.SIGKILL)

# The names are changed for good, and the pages of before are still in the file.
forget.Connections = Dying
main(["--home", sys.argv[1], "forget", sys.argv[2]])
"""


def holds(home: Home, name: str) -> bool:
    return any(name.encode() in file.read_bytes() for file in home.root.glob("ledger.db*"))


def killed_while_forgetting(home: Home, name: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.root), name], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert holds(home, name)


def test_who_says_it_again_after_a_kill_finishes_it(home: Home) -> None:
    killed_while_forgetting(home, HER)
    before = figures(home)
    again = encore(home, "forget", HER)
    assert again.exit_code == 0, again.output
    assert "old bytes are gone" in again.output
    assert not holds(home, HER)
    assert figures(home) == before
    assert encore(home, "forget", HER).exit_code == 2


def test_the_next_one_who_is_forgotten_finishes_it_too(home: Home) -> None:
    killed_while_forgetting(home, HER)
    assert encore(home, "forget", "other-5").exit_code == 0
    assert not holds(home, HER)
    assert encore(home, "forget", HER).exit_code == 2
