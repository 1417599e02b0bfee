"""`POST /v1/events`: one event, a batch, and batches of which a part is wrong."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decision.errors import LedgerError
from decision.wiring import Shop
from tests.api.test_api_problems import anything


def event(**changes: Any) -> dict[str, Any]:
    blank: dict[str, Any] = {
        "event": "Order Completed",
        "message_id": "m-1",
        "customer_id": "c-1",
        "timestamp": "2026-03-04T10:00:00Z",
        "properties": {"order_id": "o-2", "revenue": "42.00", "currency": "EUR"},
    }
    return blank | changes


def test_one_event(client: FlaskClient, shop: Shop) -> None:
    assert client.post("/v1/events", json=event()).get_json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert client.post("/v1/events", json=event()).get_json() == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert shop.ledger.customer("c-1").revenue_micros == 42_000_000


def test_a_batch_of_which_a_part_is_wrong(client: FlaskClient, shop: Shop) -> None:
    batch: list[Any] = [
        event(),
        event(event="Order Complete"),
        event(message_id="m-2", customer_id=7),
        event(),
        {"event": "Page Viewed"},
        event(message_id="m-3", timestamp="yesterday"),
        event(message_id="m-4", properties={"order_id": "o", "revenue": "-1"}),
        "not even an object",
        event(message_id="m-5", extra=1),
        event(message_id="m-6"),
    ]
    response = client.post("/v1/events", json={"batch": batch})
    found = response.get_json()
    assert (response.status_code, found["accepted"], found["duplicates"]) == (200, 2, 1)
    assert [(r["index"], r["pointer"]) for r in found["rejected"]] == [
        (1, "$.batch[1].event"),
        (2, "$.batch[2].customer_id"),
        (4, "$.batch[4].customer_id"),
        (5, "$.batch[5].timestamp"),
        (6, "$.batch[6].properties.revenue"),
        (7, "$.batch[7]"),
        (8, "$.batch[8].extra"),
    ]
    assert all(r["pointer"] in r["detail"] for r in found["rejected"])
    assert shop.ledger.counts()["outcomes"] == 2


@pytest.mark.parametrize(
    ("body", "pointer", "sentence"),
    [
        (event(event="Order Complete"), "$.event", "did you mean 'Order Completed'?"),
        (event(event="Coupon Redeemed"), "$.event", "did you mean 'Coupon Applied'?"),
        (event(timestamp="yesterday"), "$.timestamp", "expected a time such as 2026-11-21T10:00:00Z"),
        (event(customer_id=""), "$.customer_id", "1 to 200"),
        (event(timestamp="2026-03-04T10:00:00"), "$.timestamp", "with its offset"),
        (event(timestamp="2026-03-06T10:00:00Z"), "$.timestamp", "at most a day in the future"),
        (event(timestamp="0001-01-01T00:00:00+01:00"), "$.timestamp", "after 1970"),
        (event(timestamp=5), "$.timestamp", "Expected `datetime`, got `int`"),
        (event(properties=[]), "$.properties", "Expected `object`"),
        (event(properties={"order_id": "o", "revenue": "1", "currency": "USD"}), "$.properties.currency", "EUR"),
        (event(properties={"order_id": "o", "revenue": "1e999999999"}), "$.properties.revenue", "at most"),
        (event(properties={"revenue": "1"}), "$.properties.order_id", "a text"),
        (
            event(event="Unsubscribed", properties={"channel": "e-mail"}),
            "$.properties.channel",
            "did you mean 'email'?",
        ),
        (event(event="Order Completed", properties={}), "$.properties.order_id", "a text"),
        (event(messageId="m"), "$.messageId", "unknown field"),
        ({"batch": 3}, "$.batch", "Expected `array`"),
        ({"batch": [], "more": 1}, "$.more", "unknown field 'more'"),
        ({"batch": [1] * 1_001}, "$.batch", "at most 1000 events"),
    ],
)
def test_a_mistake_says_where(
    client: FlaskClient, shop: Shop, body: dict[str, Any], pointer: str, sentence: str
) -> None:
    response = client.post("/v1/events", json=body)
    found = response.get_json()
    assert (response.status_code, response.mimetype) == (422, "application/problem+json")
    assert (found["pointer"], sentence in found["detail"]) == (pointer, True), found
    assert shop.ledger.counts()["outcomes"] == 0


def test_an_empty_batch_is_nothing(client: FlaskClient) -> None:
    assert client.post("/v1/events", json={"batch": []}).get_json() == {"accepted": 0, "duplicates": 0, "rejected": []}


def test_a_word_on_consent_is_known_to_the_next_decision(client: FlaskClient) -> None:
    from decision.records import Group
    from tests import support
    from tests.api.test_api_decisions import ask

    usual = support.customer_of(Group.BUSINESS_AS_USUAL, support.programme())
    one = event(event="Unsubscribed", customer_id=usual, properties={"channel": "email"})
    assert client.post("/v1/events", json=one).status_code == 200
    answer = ask(client, trigger="return", consent={"email": True})
    assert answer["action"]["action_id"] == "control"
    assert client.post(
        "/v1/events", json=event(event="Unsubscribed", message_id="m-9", customer_id=usual, properties={})
    )
    assert ask(client)["reasons"][0]["code"] == "opted_out"


def test_a_ledger_that_cannot_write_is_a_503_so_that_the_shop_sends_again(
    client: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> int:
        raise LedgerError("Expected the ledger to work, SQLite says: disk full.", hint="Is the disk full?")

    monkeypatch.setattr(shop.ledger, "record_outcomes", fail)
    response = client.post("/v1/events", json=event())
    assert (response.status_code, response.get_json()["type"]) == (503, "urn:encore:problem:ledger-unavailable")
    assert response.get_json()["hint"] == "Is the disk full?"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["event", "customer_id", "timestamp", "message_id", "properties", "x"]), anything, max_size=2
    ),
    st.sampled_from(["Order Completed", "Order Refunded", "Unsubscribed", "Coupon Applied", "Page Viewed"]),
    st.dictionaries(
        st.sampled_from(
            ["order_id", "revenue", "total", "discount", "margin", "currency", "channel", "coupon", "revenue_micros"]
        ),
        anything,
        max_size=4,
    ),
)
def test_whatever_is_told_the_answer_is_a_receipt_or_a_place(
    client: FlaskClient, shop: Shop, changes: dict[str, Any], name: str, properties: dict[str, Any]
) -> None:
    one = event(event=name, message_id=None, properties={"order_id": "o", "revenue": 1} | properties) | changes
    single = client.post("/v1/events", json=one)
    assert single.status_code in (200, 422), single.text
    batch = client.post("/v1/events", json={"batch": [one, event()]})
    assert batch.status_code == 200, batch.text
    assert len(batch.get_json()["rejected"]) == (single.status_code == 422)
    assert json.dumps(single.get_json())
    shop.ledger.customer("c-1")


@pytest.mark.parametrize(("name", "limit"), [("message_id", 300), ("order_id", 200)])
def test_names_that_callers_choose_are_bounded(client: FlaskClient, name: str, limit: int) -> None:
    def sent(length: int) -> Any:
        one = event()
        (one if name in one else one["properties"])[name] = "x" * length
        return client.post("/v1/events", json=one)

    assert sent(limit).status_code == 200
    refused = sent(limit + 1)
    assert refused.status_code == 422
    assert refused.get_json()["pointer"].endswith(name)
