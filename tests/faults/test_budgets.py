"""Budgets and frequency caps are exact across the processes of a server, and what is not used comes back."""

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from decision.flow.sweep import sweep
from decision.ledger.sqlite import SqliteLedger
from decision.stages.guardrails import Used
from decision.watching.places import folder_of
from decision.wiring import Home, utc_now
from tests.api.test_real_server import Server, question, serving
from tests.support import PROGRAMME

RULE = "\n[measurement_groups]\nholdout = 0.0\nrandom = 0.0\nbusiness_as_usual = 1.0\npolicy = 0.0\n"
HUNDRED = RULE + '[budgets.b]\noffer = "discount"\ncount = 100\n'
CAPPED = RULE + "[guardrails]\nfrequency_cap = { contacts = 3, days = 30 }\n"
KEY = "b|programme"


def ask(server: Server, numbers: range, *, customers: int = 10**6, clients: int = 32) -> list[Any]:
    with ThreadPoolExecutor(clients) as pool:
        return list(
            pool.map(
                lambda n: server.call("/v1/decisions", question(n) | {"customer_id": f"c-{n % customers}"}), numbers
            )
        )


def given(answers: list[Any]) -> Counter[str]:
    assert all(answer["recorded"] for answer in answers)
    return Counter(answer["action"]["action_id"] for answer in answers)


def test_of_a_hundred_pieces_a_hundred_are_given_to_32_at_once(home: Home) -> None:
    home.programme_path.write_text(PROGRAMME + HUNDRED)
    with serving(home) as server:
        assert given(ask(server, range(240))) == {"discount@on_page": 100, "control": 140}
    ledger = home.ledger()
    assert ledger.used([KEY])[KEY].count == 100
    ledger.close()


def test_the_frequency_cap_holds_across_processes(home: Home) -> None:
    home.programme_path.write_text(PROGRAMME + CAPPED)
    with serving(home) as server:
        answers = ask(server, range(80), customers=4)
    assert given(answers) == {"discount@on_page": 12, "control": 68}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, list[Any]]]:
    """Five pieces were there, and five were given."""
    home = Home(tmp_path_factory.mktemp("sold-out"))
    home.programme_path.write_text(PROGRAMME + HUNDRED.replace("100", "5"))
    with serving(home) as server:
        answers = ask(server, range(5))
    assert given(answers) == {"discount@on_page": 5}
    yield home, answers
    shutil.rmtree(folder_of(home.root), ignore_errors=True)


@pytest.fixture
def sold_out(template: tuple[Home, list[Any]], home: Home) -> tuple[Home, list[Any]]:
    """A copy of its own for each test."""
    shutil.copytree(template[0].root, home.root, dirs_exist_ok=True)
    return home, template[1]


def used(ledger: SqliteLedger) -> Used:
    return ledger.used([KEY])[KEY]


def test_what_expires_unused_comes_back(sold_out: tuple[Home, list[Any]]) -> None:
    home, _ = sold_out
    ledger = home.ledger()
    sweep(programme=home.programme(), ledger=ledger, now=utc_now() + timedelta(days=400))
    assert used(ledger) == Used(0, 0)
    ledger.close()
    with serving(home) as server:
        assert given(ask(server, range(10, 18))) == {"discount@on_page": 5, "control": 3}


@pytest.mark.parametrize("undone", ["Order Cancelled", "Order Refunded"])
def test_a_redemption_that_is_undone_comes_back(sold_out: tuple[Home, list[Any]], undone: str, tmp_path: Path) -> None:
    home, answers = sold_out
    with serving(home) as server:

        def event(name: str, seconds: int, **facts: object) -> None:
            at = utc_now() + timedelta(seconds=seconds)
            body = {"event": name, "customer_id": "c-0", "timestamp": at.isoformat(), "properties": facts}
            assert server.call("/v1/events", body)["accepted"] == 1

        event("Order Completed", 0, order_id="again", revenue="50.00", coupon=answers[0]["action"]["coupon"])
        ledger = home.ledger()
        sweep(programme=home.programme(), ledger=ledger, now=utc_now())
        assert used(ledger).count == 5
        spent = used(ledger).amount_micros
        event(undone, 1, order_id="again")
        sweep(programme=home.programme(), ledger=ledger, now=utc_now() + timedelta(seconds=5))
        assert used(ledger) == Used(spent - 5_000_000, 4), "what it cost, and its piece"
        ledger.close()
