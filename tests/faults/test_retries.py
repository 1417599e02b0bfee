"""The same question and the same event, fifty times at once, late, and in any order."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import permutations
from typing import Any

import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.stages.guardrails import Used
from decision.watching.places import folder_of
from decision.wiring import Home
from tests.api.test_real_server import Server, question, serving
from tests.support import PROGRAMME

RULE = "\n[measurement_groups]\nholdout = 0.0\nrandom = 0.0\nbusiness_as_usual = 1.0\npolicy = 0.0\n"
BUDGET = RULE + "[budgets.b]\ncount = 50\n"
KEY = "b|programme"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, SqliteLedger]]:
    """One server for all: each test has customers of its own."""
    home = Home(tmp_path_factory.mktemp("retries"))
    home.programme_path.write_text(PROGRAMME + BUDGET)
    with serving(home) as server, closing(home.ledger()) as ledger:
        yield server, ledger
    shutil.rmtree(folder_of(home.root), ignore_errors=True)


@pytest.mark.parametrize("named_by", ["key", "id"])
def test_fifty_at_once_are_one_decision_and_one_reservation(served: tuple[Server, SqliteLedger], named_by: str) -> None:
    server, ledger = served
    used, made = ledger.used([KEY]).get(KEY, Used()), ledger.counts()["decisions"]
    asked = question() | {"customer_id": f"asks-by-{named_by}"}

    def ask(_: int) -> Any:
        if named_by == "key":
            return server.call("/v1/decisions", asked, Idempotency_Key="k-1")
        return server.call("/v1/decisions", asked | {"decision_id": "d-1"})

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert answers == [answers[0]] * 50
    assert answers[0]["action"]["action_id"] == "discount@on_page"
    assert ledger.counts()["decisions"] == made + 1
    assert ledger.used([KEY])[KEY] == Used(used.amount_micros + 6_000_000 - 10_000, used.count + 1)


def test_repeated_late_and_out_of_order_events_come_to_the_same(served: tuple[Server, SqliteLedger]) -> None:
    """Each customer hears the same story in another order, with each event sent twice, from several tills at once."""
    story = [
        ("Order Completed", "a", "2026-03-01T10:00:00Z", {"revenue": "30.00"}),
        ("Order Refunded", "a", "2026-03-03T10:00:00Z", {"revenue": "10.00"}),
        ("Order Completed", "b", "2026-03-02T10:00:00Z", {"revenue": "50.00"}),
        ("Order Cancelled", "b", "2026-03-02T11:00:00Z", {}),
    ]
    server, ledger = served

    def tell(number: int, order: tuple[int, ...]) -> None:
        for place in (*order, *order):
            name, order_id, at, facts = story[place]
            event = {
                "event": name,
                "message_id": f"{number}-{place}",
                "customer_id": f"c-{number}",
                "timestamp": at,
                "properties": {"order_id": order_id} | facts,
            }
            server.call("/v1/events", event)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(24), permutations(range(4))))
    found = {(c.orders, c.returns, c.revenue_micros, c.last_order_at) for c in map(ledger.customer, customers(24))}
    assert len(found) == 1
    assert next(iter(found))[:3] == (1, 1, 20_000_000)
    assert ledger.counts()["outcomes"] == 24 * 4


def customers(n: int) -> list[str]:
    return [f"c-{number}" for number in range(n)]
