"""Shopify's webhooks, verified by Shopify's own package and read by Encore."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from flask.testing import FlaskClient
from shopify_app import ShopifyApp

from decision.api.app import create_app
from decision.api.compat.payload import guest_id
from decision.api.compat.shopify_reading import PRIVACY
from decision.ledger.base import InboxItem
from decision.wiring import Home, Shop
from tests.api.test_cli import encore
from tests.compat.conftest import Clock
from tests.compat.deliveries import (
    PERSON,
    SECRETS,
    at,
    money,
    shopify,
    shopify_order,
    shopify_refund,
    shopify_transaction,
    told,
)
from tests.support import DAY, NOW, micros

PATH = "/v1/webhooks/shopify"
ANNA = "115310627314723954"
ORDER = "820982911946154508"


@pytest.fixture
def platform(shop: Shop) -> FlaskClient:
    """Shopify: it has no key."""
    return create_app(shop).test_client()


def deliver(platform: FlaskClient, topic: str, payload: Any, **changes: str) -> dict[str, Any]:
    response = platform.post(PATH, **shopify(topic, payload, **changes))
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def used(n: int, known: int = 0) -> dict[str, Any]:
    return {"accepted": n, "duplicates": known, "ignored": "", "inbox": ""}


def test_our_deliveries_are_signed_as_shopify_signs() -> None:
    """Their own package takes them, and refuses what we refuse."""
    theirs = ShopifyApp(client_id="app", client_secret=SECRETS["shopify"])
    for secret, ok in ((SECRETS["shopify"], True), ("another", False)):
        sent = shopify("orders/paid", shopify_order(), secret=secret)
        url = "https://encore.example" + PATH
        asked = {"method": "POST", "url": url, "headers": sent["headers"], "body": sent["data"].decode()}
        assert theirs.verify_webhook_req(asked).ok is ok


def test_a_paid_order_is_a_purchase(platform: FlaskClient, shop: Shop) -> None:
    assert deliver(platform, "orders/create", shopify_order()) == used(2)
    (completed, facts), (coupon, of_coupon) = sorted(told(shop.ledger, ANNA), reverse=True)
    assert (completed, coupon) == ("Order Completed", "Coupon Applied")
    assert facts == {
        "order_id": ORDER,
        "store": "online",
        "currency": "EUR",
        "revenue_micros": micros(45),
        "discount_micros": micros(5),
    }
    assert of_coupon == {"order_id": ORDER, "store": "online", "coupon_id": "SPRING"}
    known = shop.ledger.customer(ANNA)
    assert (known.orders, known.revenue_micros) == (1, micros(45))


def test_the_same_order_told_often_counts_once(platform: FlaskClient, shop: Shop) -> None:
    deliver(platform, "orders/create", shopify_order())
    assert deliver(platform, "orders/create", shopify_order()) == used(0, 2)
    assert deliver(platform, "orders/updated", shopify_order(updated_at=at(NOW), note="changed")) == used(0, 2)
    assert deliver(platform, "orders/paid", shopify_order(), X_Shopify_Webhook_Id="another") == used(0, 2)
    assert shop.ledger.customer(ANNA).orders == 1


@pytest.mark.parametrize("status", ["pending", "authorized", "partially_paid", "voided", None])
def test_an_order_counts_when_it_is_paid(platform: FlaskClient, shop: Shop, status: str | None) -> None:
    assert deliver(platform, "orders/create", shopify_order(financial_status=status))["ignored"] == "Not paid for yet."
    assert shop.ledger.customer(ANNA).orders == 0
    assert deliver(platform, "orders/updated", shopify_order()) == used(2)
    assert shop.ledger.customer(ANNA).orders == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"test": True}, "A test order."), ({"customer": None}, "guest"), ({"customer": {}}, "gues")],
)
def test_what_is_left_aside_says_why(platform: FlaskClient, shop: Shop, changes: dict[str, Any], reason: str) -> None:
    assert reason in deliver(platform, "orders/create", shopify_order(**changes))["ignored"]
    assert shop.ledger.counts()["outcomes"] == 0
    # That guests' orders are left aside a person is told once.
    assert [(item.topic, item.body) for item in shop.ledger.inbox()] == [("notice", "")] * ("gues" in reason)


def test_a_guest_may_be_known_by_a_hash_of_her_address(platform: FlaskClient, shop: Shop, home: Home) -> None:
    text = home.programme_path.read_text().replace('salt = "pepper"', 'salt = "pepper"\nguests = "email"', 1)
    home.programme_path.write_text(text)
    shop.refresh()
    deliver(platform, "orders/create", shopify_order(customer=None))
    deliver(platform, "refunds/create", shopify_refund())
    hers = guest_id("anna@example.com", salt="pepper")
    known = shop.ledger.customer(hers)
    assert (known.orders, known.returns, hers[:6]) == (1, 1, "guest-")


def test_a_guest_may_carry_the_id_of_the_decision(platform: FlaskClient, shop: Shop) -> None:
    notes = [{"name": "greeting", "value": "x"}, {"name": "encore_customer_id", "value": "guest-7"}]
    deliver(platform, "orders/create", shopify_order(customer=None, note_attributes=notes))
    assert shop.ledger.customer("guest-7").orders == 1


def test_a_cancelled_order_never_happened(platform: FlaskClient, shop: Shop) -> None:
    cancelled = shopify_order(cancelled_at=at(NOW), cancel_reason="customer")
    assert deliver(platform, "orders/cancelled", cancelled) == used(3)
    assert deliver(platform, "orders/create", shopify_order()) == used(0, 2)
    assert shop.ledger.customer(ANNA).orders == 0


def test_other_currencies(platform: FlaskClient, shop: Shop) -> None:
    """The programme counts in EUR: the shop's money or the customer's, whichever that is, or the inbox."""
    seen = {"subtotal_price_set": money("40.00", "USD", "45.00", "EUR"), "currency": "USD", "subtotal_price": "40.00"}
    seen["total_line_items_price_set"] = money("44.44", "USD", "50.00", "EUR")
    deliver(platform, "orders/create", shopify_order(1, **seen))
    assert shop.ledger.customer(ANNA).revenue_micros == micros(45)
    foreign = shopify_order(2, subtotal_price_set=money("40.00", "USD"), currency="USD")
    assert "programme's currency EUR" in deliver(platform, "orders/create", foreign)["inbox"]
    assert shop.ledger.customer(ANNA).orders == 1
    bare = shopify_order(3, subtotal_price_set=None, total_line_items_price_set=None)
    assert deliver(platform, "orders/create", bare) == used(2)


REFUNDS: list[tuple[str, dict[str, Any], float]] = [
    ("one of two lines", {}, 18.0),
    ("less than the line was worth", {"transactions": [shopify_transaction("10.00")]}, 10.0),
    ("shipping beside the line", {"transactions": [shopify_transaction("22.90")]}, 18.0),
    ("money without goods", {"refund_line_items": [], "transactions": [shopify_transaction("7.50")]}, 7.5),
    (
        "money and shipping without goods",
        {
            "refund_line_items": [],
            "transactions": [shopify_transaction("12.40")],
            "order_adjustments": [{"kind": "shipping_refund", "amount": "-4.90", "amount_set": money("-4.90")}],
        },
        7.5,
    ),
    (
        "in two payments, one of which failed",
        {
            "transactions": [
                shopify_transaction("5"),
                shopify_transaction("6"),
                shopify_transaction("9", status="error"),
            ]
        },
        11.0,
    ),
    ("in the customer's currency", {"transactions": [shopify_transaction("17.00", currency="CHF")]}, 18.0),
]


@pytest.mark.parametrize(("changes", "amount"), [r[1:] for r in REFUNDS], ids=[r[0] for r in REFUNDS])
def test_what_was_paid_back_for_goods(
    platform: FlaskClient, shop: Shop, changes: dict[str, Any], amount: float
) -> None:
    deliver(platform, "orders/create", shopify_order())
    assert deliver(platform, "refunds/create", shopify_refund(**changes)) == used(1)
    assert dict(told(shop.ledger, ANNA))["Order Refunded"]["revenue_micros"] == micros(amount)
    assert shop.ledger.customer(ANNA).revenue_micros == micros(45 - amount)


NOTHING: list[tuple[str, dict[str, Any], str]] = [
    ("no money moved", {"transactions": []}, "No money"),
    ("it failed", {"transactions": [shopify_transaction("18.00", status="failure")]}, "No money"),
    (
        "shipping alone",
        {
            "refund_line_items": [],
            "transactions": [shopify_transaction("4.90")],
            "order_adjustments": [{"kind": "shipping_refund", "amount": "-4.90", "amount_set": money("-4.90")}],
        },
        "No money",
    ),
    ("of a test order", {"transactions": [shopify_transaction("18.00", test=True)]}, "test order"),
]


@pytest.mark.parametrize(("changes", "reason"), [r[1:] for r in NOTHING], ids=[r[0] for r in NOTHING])
def test_a_refund_of_nothing_is_left_aside(
    platform: FlaskClient, shop: Shop, changes: dict[str, Any], reason: str
) -> None:
    deliver(platform, "orders/create", shopify_order())
    assert reason in deliver(platform, "refunds/create", shopify_refund(**changes))["ignored"]
    assert shop.ledger.customer(ANNA).returns == 0


STORY = (
    ("orders/create", shopify_order()),
    ("refunds/create", shopify_refund()),
    ("refunds/create", shopify_refund(number=929361465, transactions=[shopify_transaction("4.00")])),
    ("orders/updated", shopify_order(financial_status="partially_refunded", refunds=[shopify_refund(order=None)])),
)


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_whatever_the_order_of_arrival_the_end_is_the_same(
    platform: FlaskClient, shop: Shop, order: tuple[int, ...]
) -> None:
    for place in (*order, *order):
        deliver(platform, *STORY[place])
    known = shop.ledger.customer(ANNA)
    assert (known.orders, known.returns, known.revenue_micros) == (1, 1, micros(23))
    assert shop.ledger.inbox() == []
    assert shop.ledger.counts()["outcomes"] == 4


def test_a_refund_waits_for_its_order(platform: FlaskClient, shop: Shop, home: Home) -> None:
    for _ in range(3):
        assert f"Waits for the order {ORDER}" in deliver(platform, "refunds/create", shopify_refund())["inbox"]
    (item,) = shop.ledger.inbox()
    assert all(word not in item.body + item.reason for word in PERSON)
    assert encore(home, "inbox", "retry").output.splitlines()[-1] == "Used 0 of 1 item."
    deliver(platform, "orders/create", shopify_order(7))
    assert len(shop.ledger.inbox()) == 1, "that was another order"
    deliver(platform, "orders/create", shopify_order())
    assert shop.ledger.inbox() == []
    assert shop.ledger.customer(ANNA).returns == 1


def test_an_order_that_comes_while_its_refund_is_put_aside(
    platform: FlaskClient, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes the order after this one has looked for it, and before the refund is in the inbox."""
    put_aside = shop.ledger.put_in_inbox

    def slow(item: InboxItem) -> bool:
        monkeypatch.setattr(shop.ledger, "put_in_inbox", put_aside)
        deliver(platform, "orders/create", shopify_order())
        return put_aside(item)

    monkeypatch.setattr(shop.ledger, "put_in_inbox", slow)
    deliver(platform, "refunds/create", shopify_refund())
    assert (shop.ledger.inbox(), shop.ledger.customer(ANNA).returns) == ([], 1)


def test_nothing_of_a_person_but_her_number_is_kept(platform: FlaskClient, shop: Shop, home: Home) -> None:
    deliver(platform, "orders/create", shopify_order(1))
    deliver(platform, "orders/create", shopify_order(2, currency="USD", subtotal_price_set=money("1", "USD")))
    deliver(platform, "orders/create", shopify_order(3, refunds=5))
    deliver(platform, "customers/redact", {"customer": {"id": 7, "email": "anna@example.com", "phone": "+4930123456"}})
    assert len(shop.ledger.inbox()) == 3
    shop.ledger.close()  # type: ignore[attr-defined]
    stored = b"".join(path.read_bytes() for path in home.root.glob("ledger.db*"))
    assert b"115310627314723954" in stored
    for word in PERSON:
        assert word.encode() not in stored, word


def test_consent_by_channel_the_latest_word_counts(platform: FlaskClient, shop: Shop) -> None:
    def word(state: str, when: str | None) -> dict[str, Any]:
        return {"state": state, "opt_in_level": "single_opt_in", "consent_updated_at": when}

    mail = "customers_email_marketing_consent/update"
    yes = {
        "customer_id": 7,
        "email_address": "anna@example.com",
        "email_marketing_consent": word("subscribed", at(NOW)),
    }
    no = yes | {"email_marketing_consent": word("unsubscribed", at(NOW + DAY / 2))}
    assert deliver(platform, mail, yes) == used(1)
    assert shop.ledger.customer("7").consented("email")
    assert deliver(platform, mail, no) == used(1)
    assert deliver(platform, mail, yes) == used(0, 1)
    assert not shop.ledger.customer("7").consented("email"), "an old word that is sent again changes nothing"
    sms = {"id": 7, "phone": "+4930123456", "sms_marketing_consent": word("subscribed", at(NOW))}
    assert deliver(platform, "customers_marketing_consent/update", sms) == used(1)
    assert shop.ledger.customer("7").consented("sms")
    for state, when in (("pending", at(NOW)), ("not_subscribed", None)):
        unsaid = {"id": 8, "email_marketing_consent": word(state, when), "sms_marketing_consent": None}
        assert "No word" in deliver(platform, "customers/update", unsaid)["ignored"]
    # An older API version tells of both with the customer.
    both = {
        "id": 8,
        "email_marketing_consent": word("subscribed", at(NOW)),
        "sms_marketing_consent": word("x", at(NOW)),
    }
    assert deliver(platform, "customers/create", both) == used(2)
    assert (shop.ledger.customer("8").consented("email"), shop.ledger.customer("8").consented("sms")) == (True, False)


@pytest.mark.parametrize("topic", sorted(PRIVACY))
def test_what_the_law_asks_waits_for_a_person(platform: FlaskClient, shop: Shop, home: Home, topic: str) -> None:
    asked = {"shop_id": 1, "shop_domain": "encore.example", "orders_requested": [1, 2], "data_request": {"id": 9999}}
    if topic != "shop/redact":
        asked["customer"] = {"id": 7, "email": "anna@example.com"}
    for _ in range(2):
        assert "within 30 days" in deliver(platform, topic, asked)["inbox"]
    (item,) = shop.ledger.inbox()
    assert item.customer_id == (None if topic == "shop/redact" else "7")
    shown = encore(home, "inbox", "list").output
    assert topic in shown
    assert "encore.example asks" in shown
    assert encore(home, "inbox", "retry").output.splitlines()[-1] == "Used 0 of 1 item."
    assert encore(home, "inbox", "done", str(item.item_id)).output == f"{item.item_id} is done.\n"
    assert shop.ledger.inbox() == []
    assert f"inbox done  item={item.item_id}  source=shopify  topic={topic}" in encore(home, "audit").output
    again = encore(home, "inbox", "done", str(item.item_id))
    assert (again.exit_code, "encore inbox list" in again.output) == (2, True)


def test_other_topics_are_answered_and_left_aside(platform: FlaskClient, shop: Shop) -> None:
    for topic in ("products/update", "app/uninstalled", ""):
        assert deliver(platform, topic, {"id": 1})["ignored"]
    assert shop.ledger.inbox() == []


def test_a_replay_under_another_name_says_what_it_said(platform: FlaskClient, shop: Shop) -> None:
    """Topic, number and time are not signed: none of them is believed."""
    deliver(platform, "orders/create", shopify_order())
    for topic in ("orders/cancelled", "orders/delete", "refunds/create", "customers/update", "customers/redact"):
        deliver(platform, topic, shopify_order(), X_Shopify_Triggered_At=at(NOW), X_Shopify_Webhook_Id=topic)
    known = shop.ledger.customer(ANNA)
    assert (known.orders, known.returns, known.revenue_micros) == (1, 0, micros(45))


@pytest.mark.parametrize("fresh_header", [True, False])
def test_an_old_delivery_waits_for_a_person(
    platform: FlaskClient, shop: Shop, home: Home, clock: Clock, fresh_header: bool
) -> None:
    deliver(platform, "orders/create", shopify_order(1))
    clock.now = NOW + 4 * DAY
    header = {"X_Shopify_Triggered_At": at(clock.now)} if fresh_header else {}
    assert deliver(platform, "orders/create", shopify_order(1), **header) == used(0, 2), "known already"
    assert "is it a replay?" in deliver(platform, "orders/create", shopify_order(2), **header)["inbox"]
    assert shop.ledger.customer(ANNA).orders == 1
    assert encore(home, "inbox", "retry").output == "Used 1 of 1 item.\n"
    assert shop.ledger.customer(ANNA).orders == 2


def test_what_can_not_be_used_is_tried_again_after_mending(platform: FlaskClient, shop: Shop, home: Home) -> None:
    sold = shopify_order(subtotal_price_set=money("45.00", "USD"), total_line_items_price_set=None, currency="USD")
    for _ in range(2):
        assert deliver(platform, "orders/create", sold | {"total_line_items_price": None})["inbox"]
    assert shop.faults["shopify_in_inbox"] == 2
    home.programme_path.write_text(home.programme_path.read_text().replace('"EUR"', '"USD"', 1))
    assert encore(home, "inbox", "retry", "1").output == "Used 1 of 1 item.\n"
    assert shop.ledger.customer(ANNA).revenue_micros == micros(45)
    assert encore(home, "inbox", "list").output == ""


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"id": 1}', b"\xff", b'"\\ud800"', b"1" * 5000])
def test_a_signed_body_that_says_nothing_goes_into_the_inbox(platform: FlaskClient, shop: Shop, body: bytes) -> None:
    assert "xpected" in deliver(platform, "orders/create", body)["inbox"]
    assert len(shop.ledger.inbox()) == 1
