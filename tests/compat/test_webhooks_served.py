"""Webhooks at a real server: a purchase, a decision, another purchase, its refund; and the pages as written."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import Request, urlopen

import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home
from tests.api.test_real_server import SECONDS, Server, question, serving
from tests.compat.deliveries import (
    at,
    gmt,
    shopify,
    shopify_order,
    shopify_refund,
    shopify_transaction,
    woo_order,
    woocommerce,
)
from tests.support import PROGRAMME

DOCS = Path(__file__).parents[2] / "docs"
OF_PAGES = {"shopify": "hush-of-the-app", "woocommerce": "a-long-random-secret"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("webhooks"))
    home.programme_path.write_text(PROGRAMME)
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as environment:
        for platform, secret in OF_PAGES.items():
            file = home.root / f"{platform}.secrets"
            file.write_text(f"{secret}\n")
            environment.setenv(f"ENCORE_{platform.upper()}_SECRET_FILE", str(file))
        with serving(home) as server:
            yield server


@pytest.fixture(scope="module")
def ledger(home: Home, server: Server) -> Iterator[SqliteLedger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


def encore(home: Home, words: str) -> str:
    command = [sys.executable, "-m", "decision.cli", "--home", str(home.root), *words.split()]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def deliver(server: Server, platform: str, delivery: dict[str, Any]) -> None:
    headers = {**delivery["headers"], "Content-Type": delivery["content_type"]}
    url = f"http://127.0.0.1:{server.port}/v1/webhooks/{platform}"
    with urlopen(Request(url, delivery["data"], headers), timeout=SECONDS) as response:
        assert response.status == 200


def shops(platform: str, customer: int, when: datetime) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return a purchase before the decision, one after it, and the refund of that, as a platform delivers them."""
    before, after = when - timedelta(hours=1), when + timedelta(seconds=5)
    secret = OF_PAGES[platform]
    if platform == "shopify":
        times = {"updated_at": at(when), "customer": {"id": customer}}
        first = shopify_order(customer, created_at=at(before), processed_at=at(before), **times)
        second = shopify_order(customer + 1, created_at=at(after), processed_at=at(after), **times)
        refund = shopify_refund(customer + 1, customer, created_at=at(after))
        refund |= {"refund_line_items": [], "transactions": [shopify_transaction("45.00")]}
        sent = {"secret": secret, "X_Shopify_Triggered_At": at(when)}
        told = (("orders/create", first), ("orders/create", second), ("refunds/create", refund))
        return tuple(shopify(topic, payload, **sent) for topic, payload in told)  # type: ignore[return-value]
    times = {"date_modified_gmt": gmt(after), "customer_id": customer}
    first = woo_order(customer, date_created_gmt=gmt(before), **times)
    second = woo_order(customer + 1, date_created_gmt=gmt(after), **times)
    refunded = second | {"status": "refunded", "refunds": [{"id": customer, "total": "-59.38"}]}
    told = (("order.created", first), ("order.created", second), ("order.updated", refunded))
    return tuple(woocommerce(topic, payload, secret=secret) for topic, payload in told)  # type: ignore[return-value]


@pytest.mark.parametrize(("platform", "customer"), [("shopify", 9_001), ("woocommerce", 8_001)])
def test_a_refund_takes_back_what_a_decision_had_earned(
    server: Server, home: Home, ledger: SqliteLedger, platform: str, customer: int
) -> None:
    first, second, refund = shops(platform, customer, datetime.now(UTC))
    deliver(server, platform, first)
    order = {"order_id": str(customer), "total": {"amount": "45.00", "currency": "EUR"}}
    decided = server.call("/v1/decisions", question() | {"customer_id": str(customer), "order": order})

    def reward() -> tuple[bool, str]:
        encore(home, "learn --once")
        found = server.call(f"/v1/decisions/{decided['decision_id']}")["reward"]
        return found["repurchased"], found["revenue"]

    deliver(server, platform, second)
    assert reward() == (True, "50.00"), "before discounts"
    for _ in range(3):
        deliver(server, platform, refund)
    assert reward() == (False, "0.00")
    known = ledger.customer(str(customer))
    assert (known.orders, known.returns) == (2, 1)
    deliver(server, platform, second)
    assert reward() == (False, "0.00")


@pytest.mark.parametrize("platform", OF_PAGES)
def test_the_page_works_as_written(
    server: Server, home: Home, ledger: SqliteLedger, platform: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (DOCS / f"{platform}.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}"), {})
    assert f"```\n{capsys.readouterr().out}```" in page
    customer, revenue = {"shopify": ("1001", 42_000_000), "woocommerce": ("26", 21_000_000)}[platform]
    assert ledger.customer(customer).revenue_micros == revenue
    # One item, so that the page's number is there to be done.
    topic = {"shopify": "customers/redact", "woocommerce": "customer.deleted"}[platform]
    sign = shopify if platform == "shopify" else woocommerce
    deliver(server, platform, sign(topic, {"id": 1, "customer": {"id": 1}}, secret=OF_PAGES[platform]))
    (item,) = ledger.inbox()
    commands = re.findall(r"^encore (inbox .*?) +#", page, re.MULTILINE)
    assert commands == ["inbox list", "inbox retry", "inbox done 1"]
    shown = [encore(home, words.replace("done 1", f"done {item.item_id}")) for words in commands]
    assert topic in shown[0]
    assert "Used 0 of 1 item." in shown[1]
    assert ledger.inbox() == []
    assert "Traceback" not in server.text()
    assert OF_PAGES[platform] not in server.text()


def test_orders_and_their_refunds_at_once_to_two_processes(server: Server, ledger: SqliteLedger) -> None:
    """Each is told four times, refunds and orders in a mixed sequence: nothing is lost, doubled, or left waiting."""
    now = datetime.now(UTC)
    story = []
    for order in range(40):
        placed = {
            "created_at": at(now),
            "processed_at": at(now),
            "updated_at": at(now),
            "customer": {"id": f"at-once-{order}"},
        }
        story.append(("orders/create", shopify_order(70_000 + order, **placed)))
        story.append(("refunds/create", shopify_refund(70_000 + order, 60_000 + order, created_at=at(now))))
    told = story * 4
    Random(7).shuffle(told)

    def tell(one: tuple[str, dict[str, Any]]) -> None:
        deliver(server, "shopify", shopify(*one, secret=OF_PAGES["shopify"], X_Shopify_Triggered_At=at(now)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, told))
    assert ledger.inbox() == []
    for customer in range(40):
        known = ledger.customer(f"at-once-{customer}")
        assert (known.orders, known.returns, known.revenue_micros) == (1, 1, 27_000_000)
