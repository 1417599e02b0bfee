"""What Shopify's webhooks say, in Encore's events.

Only the body is signed. So all that counts comes from it, the ids of messages too: a body that is sent again under
another topic, number or time says what it said before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from decision.api import parsing
from decision.api.compat.payload import (
    CUSTOMER_ATTRIBUTE,
    GUESTS_ASIDE,
    OF_A_GUEST,
    amount_of,
    guest_id,
    in_utc,
    keeper,
    text_of,
)
from decision.api.compat.shopify_payload import (
    Adjustment,
    DiscountCode,
    MarketingConsent,
    MoneySet,
    Note,
    Person,
    PrivacyRequest,
    RefundLine,
    ShopifyCustomer,
    ShopifyOrder,
    ShopifyRefund,
    ShopMoney,
    Transaction,
    amount_in,
    goods_paid_back,
)
from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.receive import Delivery, Reading, Source
from decision.programme.model import Programme
from decision.stages.events import (
    COUPON_APPLIED,
    ORDER_CANCELLED,
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    SUBSCRIBED,
    UNSUBSCRIBED,
)

PAID = frozenset({"paid", "partially_refunded", "refunded"})
PRIVACY = {
    "customers/data_request": "asks for what is known of the customer",
    "customers/redact": "asks to forget the customer",
    "shop/redact": "asks to forget all customers of the shop",
}
_order = msgspec.json.Decoder(ShopifyOrder)
_refund = msgspec.json.Decoder(ShopifyRefund)
_customer = msgspec.json.Decoder(ShopifyCustomer)
_privacy = msgspec.json.Decoder(PrivacyRequest)


def read(delivery: Delivery, programme: Programme) -> Reading:
    """Return what a delivery says. Raises `InvalidInput` when it can't be read."""
    topic = delivery.topic
    if topic in PRIVACY:
        return _of_privacy(parsing.decode(delivery.body, _privacy), topic)
    if topic.startswith("orders/"):
        order = parsing.decode(delivery.body, _order)
        return _of_order(order, programme, delivery)
    if topic.startswith("refunds/"):
        refund = parsing.decode(delivery.body, _refund)
        return _of_refund(refund, programme, store=programme.store_at(delivery.sender))
    if topic.startswith("customers"):
        return _of_consent(parsing.decode(delivery.body, _customer), programme)
    return Reading(ignored="Nothing in this topic is of use.")


SHOPIFY = Source(
    "shopify",
    read,
    keeper(
        *(ShopMoney, MoneySet, Person, DiscountCode, Note, RefundLine, Transaction, Adjustment),
        *(ShopifyRefund, ShopifyOrder, MarketingConsent, ShopifyCustomer, PrivacyRequest),
    ),
)


def _of_order(order: ShopifyOrder, programme: Programme, delivery: Delivery) -> Reading:
    if order.test:
        return Reading(ignored="A test order.")
    customer = _customer_of(order, programme) or delivery.customer_id
    if not customer:
        return Reading(ignored=OF_A_GUEST, notice=GUESTS_ASIDE)
    return Reading(
        tuple(_order_events(order, customer, programme, programme.store_at(delivery.sender))),
        ignored="" if order.financial_status in PAID or order.cancelled_at else "Not paid for yet.",
        as_of=in_utc(order.updated_at or order.created_at),
    )


def _customer_of(order: ShopifyOrder, programme: Programme) -> str:
    for note in order.note_attributes or ():
        if note.name == CUSTOMER_ATTRIBUTE and isinstance(note.value, str):
            return note.value
    known = order.customer
    if known is not None and known.id is not None:
        return text_of(known.id, pointer="$.customer.id")
    return guest_id(order.email, salt=programme.salt) if programme.guests == "email" and order.email else ""


def _order_events(order: ShopifyOrder, customer: str, programme: Programme, store: str | None) -> Iterator[Event]:
    order_id = text_of(order.id, pointer="$.id")
    placed, message = in_utc(order.processed_at or order.created_at), f"shopify:order:{order_id}"
    facts = {"order_id": order_id} | ({"store": store} if store else {})
    if order.financial_status in PAID:
        yield Event(ORDER_COMPLETED, customer, placed, facts | _money(order, programme), f"{message}:completed")
        for used in order.discount_codes or ():
            code = text_of(used.code, pointer="$.discount_codes")
            yield Event(COUPON_APPLIED, customer, placed, facts | {"coupon_id": code}, f"{message}:coupon:{code}")
    for place, refund in enumerate(order.refunds or ()):
        yield from _refund_events(refund, customer, facts, programme, pointer=f"$.refunds[{place}]")
    if order.cancelled_at is not None:
        yield Event(ORDER_CANCELLED, customer, in_utc(order.cancelled_at), facts, f"{message}:cancelled")


def _money(order: ShopifyOrder, programme: Programme) -> dict[str, str]:
    """Return what was paid for goods after discounts, and the discounts; shipping has no part in either."""
    currency = programme.currency
    at = "$.subtotal_price"
    goods = amount_in(currency, order.subtotal_price_set, order.subtotal_price, order.currency, pointer=at)
    money = {"revenue": amount_of(goods), "currency": currency}
    if order.total_line_items_price is not None or order.total_line_items_price_set is not None:
        both, plain = order.total_line_items_price_set, order.total_line_items_price
        before = amount_in(currency, both, plain, order.currency, pointer="$.total_line_items_price")
        money["discount"] = amount_of(max(before - goods, 0))
    return money


def _of_refund(refund: ShopifyRefund, programme: Programme, *, store: str | None) -> Reading:
    if refund.order_id is None:
        raise InvalidInput("Expected the number of an order at $.order_id, found nothing.", pointer="$.order_id")
    if refund.transactions and all(one.test for one in refund.transactions):
        return Reading(ignored="A refund of a test order.")
    order_id = text_of(refund.order_id, pointer="$.order_id")
    facts = {"order_id": order_id} | ({"store": store} if store else {})
    # Who the customer is, the ledger knows from the order; an id stands in for her until then.
    events = tuple(_refund_events(refund, "unknown", facts, programme, pointer="$"))
    ignored = "" if events else "No money was paid back for goods."
    return Reading(events, ignored, order_id=order_id, as_of=in_utc(refund.created_at))


def _refund_events(
    refund: ShopifyRefund, customer: str, facts: dict[str, str], programme: Programme, *, pointer: str
) -> Iterator[Event]:
    paid_back = goods_paid_back(refund, programme.currency, pointer=pointer)
    if paid_back:
        money = {"revenue": amount_of(paid_back), "currency": programme.currency}
        message = f"shopify:refund:{text_of(refund.id, pointer=f'{pointer}.id')}"
        yield Event(ORDER_REFUNDED, customer, in_utc(refund.created_at), facts | money, message)


def _of_consent(customer: ShopifyCustomer, programme: Programme) -> Reading:
    number = customer.customer_id if customer.customer_id is not None else customer.id
    if number is None:
        raise InvalidInput("Expected the number of a customer at $.customer_id or $.id, found nothing.", pointer="$.id")
    customer_id = text_of(number, pointer="$.id")
    said = {"email": customer.email_marketing_consent, "sms": customer.sms_marketing_consent}
    words = [
        _word(customer_id, channel, word.state, in_utc(word.consent_updated_at))
        for channel, word in said.items()
        # Without a time she was never asked; what is pending, she has yet to confirm.
        if channel in programme.channels and word and word.consent_updated_at and word.state not in (None, "pending")
    ]
    return Reading(tuple(words), ignored="" if words else "No word on a channel of the programme.")


def _word(customer_id: str, channel: str, state: str | None, at: datetime) -> Event:
    agreed = state == "subscribed"
    message = f"shopify:customer:{customer_id}:{channel}:{agreed}:{at.isoformat()}"
    return Event(SUBSCRIBED if agreed else UNSUBSCRIBED, customer_id, at, {"channel": channel}, message)


def _of_privacy(request: PrivacyRequest, topic: str) -> Reading:
    known = request.customer
    customer_id = None if known is None or known.id is None else text_of(known.id, pointer="$.customer.id")
    whom = f" {customer_id}" if customer_id else ""
    task = f"{request.shop_domain[:200] or 'A shop'} {PRIVACY[topic]}{whom}: answer within 30 days."
    return Reading(task=task, customer_id=customer_id)
