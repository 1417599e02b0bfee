"""Budgets and frequency caps are exact, whoever else writes at the same time."""

import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from decision.flow.decide import decide
from decision.ledger.base import Ledger
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Guardrails, Programme
from decision.records import CONTROL, Decision, Group, Reason
from decision.serving import Serving
from decision.stages.guardrails import Used
from tests.support import NOW, PROGRAMME, asked, budget, micros, only

THREADS = 16


def at_once(shop: Programme, ledger: Ledger, n: int, *, customers: int) -> list[Decision]:
    def one(number: int) -> Decision:
        request = asked(f"d-{number}", f"c-{number % customers}")
        return decide(request, serving=Serving(shop, None), ledger=ledger, now=NOW)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(n)))


def test_of_twenty_pieces_exactly_twenty_are_given(ledger: Ledger) -> None:
    shop = only(Group.BUSINESS_AS_USUAL, budgets=(budget(offer="discount", count=20),))
    found = at_once(shop, ledger, 96, customers=96)
    assert Counter(d.action_id for d in found) == {"discount@on_page": 20, CONTROL: 76}
    assert ledger.used(["b|programme"]) == {"b|programme": Used(20 * micros(6.0), 20)}
    for decision in found:
        assert ledger.decision(decision.decision_id) == decision
        assert decision.propensity == decision.distribution[decision.allowed.index(decision.action_id)]
        if decision.action_id == CONTROL:
            assert Reason.BUDGET_EXHAUSTED in {r.reason for r in decision.rejected}


def test_money_is_never_given_past_a_budget(ledger: Ledger) -> None:
    shop = only(Group.RANDOM, budgets=(budget(amount_micros=micros(50.0)), budget("sms", offer="discount", count=5)))
    found = at_once(shop, ledger, 96, customers=96)
    used = ledger.used(["b|programme", "sms|programme"])
    given = [shop.action(d.action_id) for d in found]
    spent = sum(shop.contact_cost_micros(a) + shop.redemption_cost_micros(a, micros(60.0)) for a in given)
    assert used["b|programme"].amount_micros == spent <= micros(50.0)
    # Who comes first is left to chance, and with it which of the two budgets ends first.
    assert used["sms|programme"].count == sum(a.offer == "discount" for a in given) <= 5
    assert used["sms|programme"].count == 5 or used["b|programme"].amount_micros > micros(50.0 - 6.1)


def test_the_frequency_cap_holds_when_a_customer_asks_everywhere_at_once(ledger: Ledger) -> None:
    shop = only(Group.BUSINESS_AS_USUAL, guardrails=Guardrails(3, 30, None))
    found = at_once(shop, ledger, 40, customers=2)
    treated = Counter(d.customer_id for d in found if d.action_id != CONTROL)
    assert treated == {"c-0": 3, "c-1": 3}


def test_one_id_asked_at_once_is_one_decision(ledger: Ledger) -> None:
    shop = only(Group.RANDOM)
    with ThreadPoolExecutor(THREADS) as pool:
        serving = Serving(shop, None)
        found = list(pool.map(lambda _: decide(asked(), serving=serving, ledger=ledger, now=NOW), range(48)))
    assert found == [found[0]] * 48
    assert ledger.counts()["decisions"] == 1


PROCESS = """
import sys
from datetime import datetime
from pathlib import Path
from dataclasses import replace
from decision.flow.decide import decide
from decision.ledger.sqlite import SqliteLedger
from decision.programme.read import parse_programme
from decision.records import DecisionRequest, Group, Order
from decision.serving import Serving

path, name, text, now = sys.argv[1:]
programme = parse_programme(text)
ledger = SqliteLedger(Path(path))
sys.stdin.readline()
given = 0
for n in range(40):
    order = Order(order_id="o", total_micros=60_000_000)
    asked = DecisionRequest(f"{name}-{n}", f"{name}-{n}", "purchase", order, None, "body")
    decision = decide(asked, serving=Serving(programme, None), ledger=ledger, now=datetime.fromisoformat(now))
    given += decision.action_id != "control"
print(given)
"""


def test_two_processes_share_a_budget_exactly(tmp_path: Path) -> None:
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    shares = "\n[measurement_groups]\nholdout = 0.0\nrandom = 0.0\nbusiness_as_usual = 1.0\npolicy = 0.0\n"
    text = PROGRAMME + shares + '[budgets.b]\noffer = "discount"\ncount = 20\n'
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(ledger.path), name, text, NOW.isoformat()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    given = [int(process.communicate(timeout=60)[0]) for process in running]
    assert sum(given) == 20
    assert ledger.used(["b|programme"])["b|programme"].count == 20
    assert ledger.counts()["decisions"] == 80
    ledger.close()
