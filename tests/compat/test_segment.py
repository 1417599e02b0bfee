"""Segment's own client, pointed at a real server."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment.analytics import Client

from decision.api.compat.segment_names import NAMES
from decision.api.compat.segment_reading import SegmentMessage, corrected
from decision.ledger import inbox
from decision.ledger.sqlite import SqliteLedger
from decision.stages import events
from decision.wiring import Home, Shop
from tests import support
from tests.api.test_cli import encore
from tests.api.test_real_server import Server, serving
from tests.support import NOW

PAGE = Path(__file__).parents[2] / "docs" / "segment.md"
CONSENT = (events.SUBSCRIBED, events.UNSUBSCRIBED)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("segment"))
    home.programme_path.write_text(support.PROGRAMME)
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving(home) as server:
        yield server


@pytest.fixture(scope="module")
def ledger(home: Home, server: Server) -> Iterator[SqliteLedger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


def segment(server: Server, **changes: Any) -> Client:
    mistakes: list[object] = []
    client = Client(
        server.key,
        host=f"http://127.0.0.1:{server.port}",
        max_retries=0,
        on_error=lambda error, _: mistakes.append(error),
        **changes,
    )
    client.mistakes = mistakes
    return client


def sent(client: Client) -> None:
    client.flush()
    client.join()
    assert client.mistakes == []


def told(ledger: SqliteLedger, customer_id: str) -> list[tuple[str, dict[str, Any]]]:
    after = datetime.now(UTC) - timedelta(days=365)
    found = ledger.outcomes_of(customer_id, start=after, end=datetime.now(UTC) + timedelta(days=2))
    return [(one.name, dict(one.properties)) for one in found]


@pytest.mark.parametrize("gzip", [False, True])
def test_an_order_and_its_refund(server: Server, ledger: SqliteLedger, gzip: bool) -> None:
    customer, client = f"order-{gzip}", segment(server, gzip=gzip)
    order = {"order_id": 7, "revenue": 42.5, "discount": None, "currency": "EUR", "affiliation": "hamburg"}
    client.track(customer, "Order Completed", order, message_id=f"o-{gzip}")
    client.track(customer, "Order Completed", order, message_id=f"o-{gzip}")
    client.track(customer, "Order Refunded", {"order_id": "7", "total": "2.50"})
    sent(client)
    # Batches travel at different speeds, so the order of two calls is only about right.
    found = told(ledger, customer)
    assert sorted(name for name, _ in found) == ["Order Completed", "Order Refunded"]
    facts = dict(found)["Order Completed"]
    assert (facts["revenue_micros"], facts["store"]) == (42_500_000, "hamburg")
    known = ledger.customer(customer)
    assert (known.orders, known.returns, known.revenue_micros) == (1, 1, 40_000_000)


@pytest.mark.parametrize("name", [n for n in events.NAMES if n not in CONSENT])
def test_every_event_is_taken(server: Server, ledger: SqliteLedger, name: str) -> None:
    client = segment(server)
    client.track(name, name, {"order_id": "o", "revenue": "1.00"})
    sent(client)
    assert [found for found, _ in told(ledger, name)] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_others_names_are_understood(server: Server, ledger: SqliteLedger, name: str) -> None:
    client = segment(server)
    braze = {"order_id": "o-1", "total_value": 9.5}
    client.track(name, name, braze if "." in name else {"transaction_id": "o-1", "value": 9.5, "currency": "EUR"})
    sent(client)
    ((found, facts),) = told(ledger, name)
    assert found == NAMES[name]
    if found in ("Order Completed", "Order Refunded"):
        assert (facts["order_id"], facts["revenue_micros"]) == ("o-1", 9_500_000)


def test_consent_in_traits_and_an_anonymous_visit(server: Server, ledger: SqliteLedger) -> None:
    client = segment(server)
    client.identify("consents", {"consent": {"email": True, "sms": False}, "name": "kept nowhere"})
    client.page(anonymous_id="anonymous", name="Home")
    client.group("consents", "group")
    sent(client)
    known = ledger.customer("consents")
    assert (known.consented("email"), known.consented("sms")) == (True, False)
    assert [name for name, _ in told(ledger, "anonymous")] == ["Page Viewed"]


def test_a_bad_event_leaves_the_others_alone(server: Server, ledger: SqliteLedger) -> None:
    client = segment(server)
    client.track("mixed", "Order Completed", {"order_id": "o"})
    client.track("mixed", "Product Viewed")
    sent(client)
    assert [name for name, _ in told(ledger, "mixed")] == ["Product Viewed"]


def test_why_an_event_was_refused(server: Server) -> None:
    batch = [{"type": "track", "event": "Ordr Completed", "userId": "c"}, 1, {"type": "alias"}]
    answer = server.call("/v1/batch", {"batch": batch})
    assert (answer["success"], answer["accepted"], answer["ignored"]) == (True, 0, 1)
    assert [one["pointer"] for one in answer["rejected"]] == ["$.batch[0].event", "$.batch[1]"]
    assert "Order Completed" in answer["rejected"][0]["detail"]


def test_what_was_refused_is_found_again_and_can_be_tried_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.programme_path.write_text(support.PROGRAMME)
    shop = Shop(home)
    client = support.client_of(shop)
    now = datetime.now(UTC)
    slow = now - timedelta(hours=5)
    order = {"order_id": "o-1", "revenue": "9.00", "currency": "USD", "affiliation": "hamburg"}
    call = {"type": "track", "event": "Order Completed", "userId": "anna", "messageId": "m-1", "properties": order}
    batch = [
        call | {"timestamp": slow.isoformat(), "context": {"ip": "203.0.113.9"}},
        {"type": "identify", "userId": "anna", "traits": {"consent": {"pigeon": True}, "email": "anna@example.com"}},
        {"type": "track", "event": "Product Viewed", "userId": ["wrong"]},
        {
            "type": "track",
            "event": "Product Viewed",
            "userId": "anna",
            "properties": {"note": "x" * 40_000},
            "messageId": 1,
        },
        7,
        {"type": "track", "event": "Product Viewed", "userId": "anna"},
    ]
    answer = client.post("/v1/batch", json={"batch": batch, "sentAt": slow.isoformat()}).get_json()
    assert (answer["success"], answer["accepted"], len(answer["rejected"])) == (True, 1, 5)
    items = shop.ledger.inbox()
    assert [(item.source, item.topic, item.customer_id) for item in items] == [
        ("segment", "Order Completed", "anna"),
        ("segment", "identify", "anna"),
        ("segment", "Product Viewed", None),
        ("segment", "Product Viewed", "anna"),
        ("segment", "", None),
    ]
    kept = "".join(item.body for item in items)
    assert "203.0.113.9" not in kept
    assert "anna@example.com" not in kept
    assert items[3].body == "", "longer than any call of Segment's"
    assert "programme's currency EUR" in encore(home, "inbox", "list").output
    home.programme_path.write_text(home.programme_path.read_text().replace('"EUR"', '"USD"', 1))
    assert "Used 1 of 5 items." in encore(home, "inbox", "retry").output
    (bought,) = (
        one
        for one in shop.ledger.outcomes_of("anna", start=NOW, end=now + timedelta(days=1))
        if one.name == "Order Completed"
    )
    assert abs(bought.occurred_at - now) < timedelta(minutes=5), "its time was put right when it came"
    assert bought.message_id == "m-1"
    shop.close()


def test_a_full_inbox_is_counted_and_no_reason_to_come_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inbox.SHARES, "segment", 1)
    home = Home(tmp_path)
    home.programme_path.write_text(support.PROGRAMME)
    shop = Shop(home)
    client = support.client_of(shop)
    for name in ("Ordr Completed", "Ordr Cancelled"):
        call = {"type": "track", "event": name, "userId": "c"}
        assert len(client.post("/v1/track", json=call).get_json()["rejected"]) == 1
    assert [item.topic for item in shop.ledger.inbox()] == ["Ordr Completed"]
    assert (shop.faults["segment_inbox_full"], shop.faults["segment_rejected"]) == (1, 2)
    shop.close()


def test_a_wrong_clock_is_put_right() -> None:
    slow = timedelta(days=400)
    message = SegmentMessage(timestamp=NOW - slow - timedelta(minutes=5))
    assert corrected(message, NOW - slow, received_at=NOW) == NOW - timedelta(minutes=5)
    assert corrected(message, None, received_at=NOW) == message.timestamp
    last = SegmentMessage(timestamp=datetime.max.replace(tzinfo=UTC))
    assert corrected(last, datetime.min.replace(tzinfo=UTC), received_at=NOW) == last.timestamp
    assert corrected(SegmentMessage(), NOW - slow, received_at=NOW) == NOW


def test_the_page_works_as_written(server: Server, ledger: SqliteLedger) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    here = code.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}").replace("encore_…", server.key)
    exec(here, {})
    known = ledger.customer("C-1001")
    assert (known.orders, known.consented("email"), known.consented("sms")) == (1, True, False)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["type", "event", "userId", "messageId", "timestamp", "properties", "traits"])
known = st.sampled_from(["track", "identify", "page", "Order Completed", "purchase"])
calls = st.dictionaries(fields, json | known | st.just({"order_id": 1, "value": 1e300}), max_size=6)


@given(batch=st.lists(calls | json, max_size=3))
def test_whatever_is_sent_is_answered(server: Server, batch: list[Any]) -> None:
    answer = server.call("/v1/batch", {"batch": batch})
    assert answer["success"]
    assert answer["ignored"] + answer["accepted"] + answer["duplicates"] + len(answer["rejected"]) >= len(batch)
