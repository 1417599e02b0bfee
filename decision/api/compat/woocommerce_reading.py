"""What WooCommerce's webhooks say, in Encore's events.

Only the body is signed, and ids of deliveries are the same for all of a second: so all that counts comes from the
body. It is the order as it was when the webhook was sent, with its refunds so far; there is no topic for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from decision.api import parsing
from decision.api.compat.payload import (
    CUSTOMER_ATTRIBUTE,
    GUESTS_ASIDE,
    OF_A_GUEST,
    Id,
    amount_of,
    guest_id,
    in_utc,
    keeper,
    micros_of,
    text_of,
)
from decision.event import Event
from decision.flow.receive import Delivery, Reading, Source
from decision.programme.model import Programme
from decision.stages.events import COUPON_APPLIED, ORDER_CANCELLED, ORDER_COMPLETED, ORDER_REFUNDED

PAID = frozenset({"processing", "completed", "refunded"})


class WooLine(Struct, frozen=True):
    """A line of goods; `total` is without tax and after discounts."""

    total: Decimal


class WooCoupon(Struct, frozen=True):
    """A coupon that was used. WooCommerce writes all codes in small letters."""

    code: str = ""


class WooRefund(Struct, frozen=True):
    """A refund of an order; `total` is below 0, and holds taxes and shipping as well."""

    id: Id
    total: Decimal


class WooMeta(Struct, frozen=True):
    """What a plug-in or the shop put on an order."""

    key: str | None = None
    value: Any = None


class WooBilling(Struct, frozen=True):
    """Who pays. Her address is read where the programme knows guests by it, and never kept."""

    email: str | None = None


class WooOrder(Struct, frozen=True):
    """An order. Fields that end in `_gmt` are in UTC without saying so."""

    id: Id
    status: str
    currency: str
    total: Decimal
    date_created_gmt: datetime
    date_modified_gmt: datetime | None = None
    date_paid_gmt: datetime | None = None
    discount_total: Decimal | None = None
    customer_id: Id | None = None
    billing: WooBilling | None = None
    line_items: list[WooLine] | None = None
    coupon_lines: list[WooCoupon] | None = None
    refunds: list[WooRefund] | None = None
    meta_data: list[WooMeta] | None = None


class _Gone(Struct, frozen=True):
    id: Id


_order = msgspec.json.Decoder(WooOrder)
_gone = msgspec.json.Decoder(_Gone)


def read(delivery: Delivery, programme: Programme) -> Reading:
    """Return what a delivery says. Raises `InvalidInput` when it can't be read."""
    if delivery.topic == "customer.deleted":
        customer_id = text_of(parsing.decode(delivery.body, _gone).id, pointer="$.id")
        task = f"The shop has deleted the customer {customer_id}: is Encore to forget her too?"
        return Reading(task=task, customer_id=customer_id)
    if delivery.topic == "order.deleted":
        # All that its body says.
        return Reading(deleted=text_of(parsing.decode(delivery.body, _gone).id, pointer="$.id"))
    if not delivery.topic.startswith("order."):
        return Reading(ignored="Nothing in this topic is of use.")
    order = parsing.decode(delivery.body, _order)
    store = programme.store_at(urlsplit(delivery.sender).hostname or delivery.sender)
    customer = _customer_of(order, programme) or delivery.customer_id
    if not customer:
        return Reading(ignored=OF_A_GUEST, notice=GUESTS_ASIDE)
    return _of_order(order, customer, store=store)


WOOCOMMERCE = Source("woocommerce", read, keeper(WooOrder, WooLine, WooCoupon, WooRefund, WooMeta))


def _of_order(order: WooOrder, customer: str, *, store: str | None) -> Reading:
    events = tuple(_events(order, customer, store))
    as_of = in_utc(order.date_modified_gmt or order.date_created_gmt)
    return Reading(events, ignored="" if events else "Not paid for yet.", as_of=as_of)


def _customer_of(order: WooOrder, programme: Programme) -> str:
    for meta in order.meta_data or ():
        if meta.key == CUSTOMER_ATTRIBUTE and isinstance(meta.value, str):
            return meta.value
    if order.customer_id is not None and str(order.customer_id) != "0":
        return text_of(order.customer_id, pointer="$.customer_id")
    if programme.guests == "email" and order.billing is not None and order.billing.email:
        return guest_id(order.billing.email, salt=programme.salt)
    return ""


def _events(order: WooOrder, customer: str, store: str | None) -> Iterator[Event]:
    order_id = text_of(order.id, pointer="$.id")
    changed, message = in_utc(order.date_modified_gmt or order.date_created_gmt), f"woocommerce:order:{order_id}"
    placed = in_utc(order.date_created_gmt)
    facts = {"order_id": order_id} | ({"store": store} if store else {})
    goods = sum(micros_of(line.total, pointer="$.line_items") for line in order.line_items or ())
    if order.status in PAID:
        money = {"revenue": amount_of(goods), "currency": order.currency}
        if order.discount_total is not None:
            money["discount"] = amount_of(micros_of(order.discount_total, pointer="$.discount_total"))
        yield Event(ORDER_COMPLETED, customer, placed, facts | money, f"{message}:completed")
        for used in order.coupon_lines or ():
            code = text_of(used.code, pointer="$.coupon_lines").upper()
            yield Event(COUPON_APPLIED, customer, placed, facts | {"coupon_id": code}, f"{message}:coupon:{code}")
    for refund in order.refunds or ():
        number = text_of(refund.id, pointer="$.refunds")
        if paid_back := _goods_paid_back(refund, order, goods):
            money = {"revenue": amount_of(paid_back), "currency": order.currency}
            yield Event(ORDER_REFUNDED, customer, changed, facts | money, f"woocommerce:refund:{number}")
    if order.status == "refunded" and not order.refunds:
        yield Event(ORDER_REFUNDED, customer, changed, facts, f"{message}:refunded")
    # A payment that failed may be tried again: only an order that had been paid can be undone by it.
    if order.status == "cancelled" or (order.status == "failed" and order.date_paid_gmt is not None):
        yield Event(ORDER_CANCELLED, customer, changed, facts, f"{message}:cancelled")


def _goods_paid_back(refund: WooRefund, order: WooOrder, goods: int) -> int:
    """Return the micros of a refund that were for goods: their share of the whole order, taxes and shipping included.

    Rounded up, so that parts which pay all of it back leave nothing.
    """
    whole = micros_of(order.total, pointer="$.total")
    back = abs(micros_of(refund.total, pointer="$.refunds"))
    return -(-back * goods // whole) if whole > 0 and goods > 0 else 0
