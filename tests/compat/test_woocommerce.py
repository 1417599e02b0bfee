"""WooCommerce's webhooks, as its `WC_Webhook` sends them."""

from __future__ import annotations

import hashlib
import hmac
from itertools import permutations
from typing import Any

import pytest
from flask.testing import FlaskClient

from decision.api.app import create_app
from decision.flow.sweep import sweep
from decision.records import Reservation
from decision.stages.guardrails import Used
from decision.wiring import Home, Shop
from tests.api.test_cli import encore
from tests.compat.conftest import Clock
from tests.compat.deliveries import PERSON, gmt, told, woo_order, woocommerce
from tests.support import DAY, NOW, bought, decided, micros

PATH = "/v1/webhooks/woocommerce"


@pytest.fixture
def platform(shop: Shop) -> FlaskClient:
    """WooCommerce: it has no key."""
    return create_app(shop).test_client()


def deliver(platform: FlaskClient, topic: str, payload: Any, **changes: str) -> dict[str, Any]:
    response = platform.post(PATH, **woocommerce(topic, payload, **changes))
    assert response.status_code == 200, response.text
    return dict(response.get_json())


def used(n: int, known: int = 0) -> dict[str, Any]:
    return {"accepted": n, "duplicates": known, "ignored": "", "inbox": ""}


def refund(number: int, total: str) -> dict[str, Any]:
    return {"id": number, "reason": "Anna did not like it", "total": total}


def test_the_ping_of_a_new_webhook_is_answered(platform: FlaskClient, shop: Shop) -> None:
    """It is a form that nobody signed, and the webhook is not saved unless it is answered 200."""
    form = {"data": "webhook_id=7", "content_type": "application/x-www-form-urlencoded"}
    assert platform.post(PATH, **form).get_json()["ignored"] == "A ping."
    for other in ("webhook_id=x", "webhook_id=7&id=1", "", "webhook_id=" + "7" * 30):
        assert platform.post(PATH, **(form | {"data": other})).status_code == 401
    assert (shop.ledger.counts()["outcomes"], shop.ledger.inbox()) == (0, [])


def test_a_paid_order_is_a_purchase(platform: FlaskClient, shop: Shop) -> None:
    assert deliver(platform, "order.created", woo_order()) == used(2)
    facts = dict(told(shop.ledger, "26"))
    assert facts["Order Completed"] == {
        "order_id": "727",
        "store": "online",
        "currency": "EUR",
        "revenue_micros": micros(45),
        "discount_micros": micros(5),
    }
    assert facts["Coupon Applied"]["coupon_id"] == "SPRING", "codes arrive in small letters, and ours are in large ones"
    assert deliver(platform, "order.updated", woo_order(status="completed")) == used(0, 2)
    assert shop.ledger.customer("26").orders == 1


@pytest.mark.parametrize("status", ["pending", "on-hold", "checkout-draft", "failed", "trash", "quoted"])
def test_an_order_counts_when_it_is_paid(platform: FlaskClient, shop: Shop, status: str) -> None:
    unpaid = woo_order(status=status, date_paid_gmt=None)
    assert deliver(platform, "order.created", unpaid)["ignored"] == "Not paid for yet."
    assert shop.ledger.customer("26").orders == 0
    assert deliver(platform, "order.updated", woo_order()) == used(2), "a payment that failed may be tried again"
    assert shop.ledger.customer("26").orders == 1


@pytest.mark.parametrize("status", ["cancelled", "failed"])
def test_a_cancelled_order_never_happened(platform: FlaskClient, shop: Shop, status: str) -> None:
    deliver(platform, "order.created", woo_order())
    for _ in range(2):
        deliver(platform, "order.updated", woo_order(status=status))
    assert deliver(platform, "order.created", woo_order()) == used(0, 2)
    assert shop.ledger.customer("26").orders == 0


def test_each_refund_counts_once(platform: FlaskClient, shop: Shop) -> None:
    """A refund holds taxes and shipping; its share of the whole order is taken from the goods."""
    half = refund(726, "-29.69")
    deliver(platform, "order.created", woo_order())
    for _ in range(2):
        deliver(platform, "order.updated", woo_order(refunds=[half]))
    assert shop.ledger.customer("26").revenue_micros == micros(22.5)
    deliver(platform, "order.updated", woo_order(refunds=[refund(730, "-29.69"), half], status="refunded"))
    known = shop.ledger.customer("26")
    assert (known.orders, known.returns, known.revenue_micros) == (1, 1, 0)


def test_parts_that_pay_all_of_it_back_leave_nothing(platform: FlaskClient, shop: Shop) -> None:
    lines = [{"id": 1, "total": "10.00"}]
    parts = [refund(number, "-4.00") for number in range(3)]
    deliver(platform, "order.updated", woo_order(total="12.00", line_items=lines, refunds=parts))
    assert shop.ledger.customer("26").revenue_micros == 0


def test_refunded_by_its_status_alone(platform: FlaskClient, shop: Shop) -> None:
    deliver(platform, "order.updated", woo_order(status="refunded", refunds=[]))
    known = shop.ledger.customer("26")
    assert (known.orders, known.returns, known.revenue_micros) == (1, 1, 0)


STORY = (woo_order(), woo_order(refunds=[refund(1, "-10.00")]), woo_order(refunds=[refund(2, "-5"), refund(1, "-10")]))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_whatever_the_order_of_arrival_the_end_is_the_same(
    platform: FlaskClient, shop: Shop, order: tuple[int, ...]
) -> None:
    for place in (*order, *order):
        deliver(platform, "order.updated", STORY[place])
    known = shop.ledger.customer("26")
    assert (known.orders, known.returns, shop.ledger.counts()["outcomes"]) == (1, 1, 4)
    assert abs(known.revenue_micros - micros(45 - 15 / 59.38 * 45)) <= 2, "each refund is rounded up to a micro"


def test_guests_have_no_number(platform: FlaskClient, shop: Shop, home: Home) -> None:
    for number in (0, "0", None):
        assert "guest" in deliver(platform, "order.created", woo_order(customer_id=number))["ignored"]
    (item,) = shop.ledger.inbox()
    assert (item.topic, item.body, item.customer_id) == ("notice", "", None), "one for all of them, of nobody"
    assert 'guests = "email"' in encore(home, "inbox", "list").output
    assert "Used 0 of 1 item." in encore(home, "inbox", "retry").output
    meta = [{"id": 1, "key": "encore_customer_id", "value": "guest-7"}]
    assert deliver(platform, "order.created", woo_order(customer_id=0, meta_data=meta)) == used(2)
    assert shop.ledger.customer("guest-7").orders == 1


@pytest.fixture
def by_email(shop: Shop, home: Home) -> Shop:
    """A shop whose programme knows guests by their e-mail addresses."""
    text = home.programme_path.read_text().replace('salt = "pepper"', 'salt = "pepper"\nguests = "email"', 1)
    home.programme_path.write_text(text)
    shop.refresh()
    return shop


def guest_order(number: int, email: str, **changes: Any) -> dict[str, Any]:
    return woo_order(number, customer_id=0, billing={"email": email, "first_name": "Anna"}, **changes)


def test_guests_are_known_by_a_keyed_hash_of_their_address_where_the_programme_says_so(
    platform: FlaskClient, by_email: Shop, home: Home
) -> None:
    for number, email in ((1, "anna@example.com"), (2, " Anna@Example.COM ")):
        assert deliver(platform, "order.created", guest_order(number, email)) == used(2)
    deliver(platform, "order.updated", guest_order(2, "anna@example.com", refunds=[refund(9, "-5.00")]))
    digest = hmac.new(b"pepper", b"anna@example.com", hashlib.sha256).hexdigest()
    known = by_email.ledger.customer(f"guest-{digest}")
    assert (known.orders, known.returns) == (2, 1)
    assert "guest" in deliver(platform, "order.created", guest_order(3, ""))["ignored"]
    by_email.ledger.close()  # type: ignore[attr-defined]
    stored = b"".join(path.read_bytes() for path in home.root.glob("ledger.db*")).lower()
    assert b"anna@example.com" not in stored


def test_a_guests_order_in_the_inbox_is_still_hers(platform: FlaskClient, by_email: Shop, home: Home) -> None:
    deliver(platform, "order.created", guest_order(1, "anna@example.com", currency="USD"))
    (item,) = by_email.ledger.inbox()
    assert "anna" not in item.body
    home.programme_path.write_text(home.programme_path.read_text().replace('"EUR"', '"USD"', 1))
    assert encore(home, "inbox", "retry").output == "Used 1 of 1 item.\n"
    assert item.customer_id is not None
    assert by_email.ledger.customer(item.customer_id).orders == 1


def test_a_deleted_order_is_cancelled_and_takes_back_what_it_had_earned(
    platform: FlaskClient, shop: Shop, home: Home, clock: Clock
) -> None:
    ledger, programme = shop.ledger, shop.serving.programme
    offer = decided("discount@on_page", at=NOW - DAY, customer_id="26", coupon="SPRING", programme=programme)
    held = Reservation("b|programme", micros(6), None, None)
    ledger.record_decision(offer, [held], seen_version=0)
    deliver(platform, "order.created", woo_order())
    sweep(programme=programme, ledger=ledger, now=clock.now)
    earned = ledger.reward("d-1")
    assert earned is not None
    assert (earned.repurchased, earned.redeemed) == (True, True)
    assert ledger.used(["b|programme"])["b|programme"].count == 1
    clock.now = NOW + DAY
    for n in range(2):
        assert deliver(platform, "order.deleted", {"id": 727}) == (used(0, 1) if n else used(1))
    sweep(programme=programme, ledger=ledger, now=clock.now)
    after = ledger.reward("d-1")
    assert after is not None
    assert (after.repurchased, after.redeemed, after.revenue_micros, after.cost_micros) == (False, False, 0, 0)
    assert ledger.used(["b|programme"])["b|programme"] == Used(0, 0)
    assert ledger.customer("26").orders == 0


def test_who_tidies_up_changes_nothing(platform: FlaskClient, shop: Shop, clock: Clock) -> None:
    deliver(platform, "order.created", woo_order())
    assert "not paid for" in deliver(platform, "order.deleted", {"id": 1})["ignored"]
    clock.now = NOW + 15 * DAY
    assert "long ago" in deliver(platform, "order.deleted", {"id": 727})["ignored"], "the refund window is 14 days"
    assert shop.ledger.customer("26").orders == 1
    assert shop.ledger.inbox() == []


def test_a_deleted_order_that_two_customers_have_waits_for_a_person(platform: FlaskClient, shop: Shop) -> None:
    for customer in (26, 27):
        deliver(platform, "order.created", woo_order(customer_id=customer, date_created_gmt=gmt(NOW)))
    shop.ledger.record_outcomes([bought(NOW, "727", customer_id="27")], now=NOW)
    assert "found 2" in deliver(platform, "order.deleted", {"id": 727})["inbox"]
    assert [shop.ledger.customer(customer).orders for customer in ("26", "27")] == [1, 1]


def test_topics_that_say_little(platform: FlaskClient, shop: Shop, home: Home) -> None:
    for topic in ("order.deleted", "customer.created", "customer.updated", "product.updated", "action.x", ""):
        assert deliver(platform, topic, {"id": 26})["ignored"]
    assert shop.ledger.inbox() == []
    assert "to forget her too?" in deliver(platform, "customer.deleted", {"id": 26})["inbox"]
    (item,) = shop.ledger.inbox()
    assert item.customer_id == "26"
    assert "customer.deleted" in encore(home, "inbox", "list").output


def test_another_currency_goes_into_the_inbox(platform: FlaskClient, shop: Shop, home: Home) -> None:
    assert "programme's currency EUR" in deliver(platform, "order.created", woo_order(currency="USD"))["inbox"]
    (item,) = shop.ledger.inbox()
    assert all(word not in item.body + item.reason for word in PERSON)
    assert "USD" in encore(home, "inbox", "retry").output
    home.programme_path.write_text(home.programme_path.read_text().replace('"EUR"', '"USD"', 1))
    assert encore(home, "inbox", "retry").output == "Used 1 of 1 item.\n"
    assert shop.ledger.customer("26").revenue_micros == micros(45)


def test_an_old_delivery_waits_for_a_person(platform: FlaskClient, shop: Shop, clock: Clock) -> None:
    deliver(platform, "order.created", woo_order())
    clock.now = NOW + 4 * DAY
    assert deliver(platform, "order.created", woo_order()) == used(0, 2)
    assert "is it a replay?" in deliver(platform, "order.updated", woo_order(status="cancelled"))["inbox"]
    fresh = woo_order(status="cancelled", date_modified_gmt=gmt(clock.now))
    assert shop.ledger.customer("26").orders == 1
    assert deliver(platform, "order.updated", fresh) == used(1)
    assert shop.ledger.customer("26").orders == 0


def test_two_shops_that_count_alike_are_told_apart_by_their_address_only(platform: FlaskClient, shop: Shop) -> None:
    deliver(platform, "order.created", woo_order(), X_WC_Webhook_Source="https://elsewhere.example/shop")
    assert "store" not in dict(told(shop.ledger, "26"))["Order Completed"]
