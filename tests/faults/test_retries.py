"""The same question and the same event, fifty times at once, late, and in any order."""

from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from typing import Any

import pytest

from decision.stages.guardrails import Used
from decision.wiring import Home
from tests.api.test_real_server import question, serving
from tests.support import PROGRAMME

RULE = "\n[measurement_groups]\nholdout = 0.0\nrandom = 0.0\nbusiness_as_usual = 1.0\npolicy = 0.0\n"
BUDGET = RULE + "[budgets.b]\ncount = 50\n"


@pytest.mark.parametrize("named_by", ["key", "id"])
def test_fifty_at_once_are_one_decision_and_one_reservation(home: Home, named_by: str) -> None:
    home.programme_path.write_text(PROGRAMME + BUDGET)
    with serving(home) as server, ThreadPoolExecutor(50) as pool:

        def ask(_: int) -> Any:
            if named_by == "key":
                return server.call("/v1/decisions", question(), Idempotency_Key="k-1")
            return server.call("/v1/decisions", question() | {"decision_id": "d-1"})

        answers = list(pool.map(ask, range(50)))
        ledger = home.ledger()
        assert answers == [answers[0]] * 50
        assert answers[0]["action"]["action_id"] == "discount@on_page"
        assert ledger.counts()["decisions"] == 1
        assert ledger.used(["b|programme"]) == {"b|programme": Used(6_000_000 - 10_000, 1)}
        ledger.close()


def test_repeated_late_and_out_of_order_events_come_to_the_same(home: Home) -> None:
    """Each customer hears the same story in another order, with each event sent twice, from several tills at once."""
    story = [
        ("Order Completed", "a", "2026-03-01T10:00:00Z", {"revenue": "30.00"}),
        ("Order Refunded", "a", "2026-03-03T10:00:00Z", {"revenue": "10.00"}),
        ("Order Completed", "b", "2026-03-02T10:00:00Z", {"revenue": "50.00"}),
        ("Order Cancelled", "b", "2026-03-02T11:00:00Z", {}),
    ]
    with serving(home) as server, ThreadPoolExecutor(8) as pool:

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

        list(pool.map(tell, range(24), permutations(range(4))))
        ledger = home.ledger()
        found = {(c.orders, c.returns, c.revenue_micros, c.last_order_at) for c in map(ledger.customer, customers(24))}
        assert len(found) == 1
        assert next(iter(found))[:3] == (1, 1, 20_000_000)
        assert ledger.counts()["outcomes"] == 24 * 4
        ledger.close()


def customers(n: int) -> list[str]:
    return [f"c-{number}" for number in range(n)]
