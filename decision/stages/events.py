"""Events by Segment's e-commerce names, read once at the door into the facts that rewards and customers need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from decision.errors import InvalidInput
from decision.money import to_micros
from decision.programme.section import unknown
from decision.records import EVERY_CHANNEL, Consent, Customer, Outcome

ORDER_COMPLETED = "Order Completed"
ORDER_REFUNDED = "Order Refunded"
ORDER_CANCELLED = "Order Cancelled"
PROMOTION_CLICKED = "Promotion Clicked"
COUPON_APPLIED = "Coupon Applied"
COUPON_REMOVED = "Coupon Removed"
UNSUBSCRIBED = "Unsubscribed"
SUBSCRIBED = "Subscribed"

NAMES = (
    ORDER_COMPLETED,
    ORDER_REFUNDED,
    ORDER_CANCELLED,
    "Order Updated",
    "Promotion Viewed",
    PROMOTION_CLICKED,
    "Coupon Entered",
    COUPON_APPLIED,
    "Coupon Denied",
    COUPON_REMOVED,
    UNSUBSCRIBED,
    SUBSCRIBED,
    "Product Viewed",
    "Product Added",
    "Cart Viewed",
    "Checkout Started",
    "Page Viewed",
    "Store Visited",
)
# What a customer does on her own; seeing a promotion is not yet coming back.
VISITS = frozenset(
    {
        ORDER_COMPLETED,
        PROMOTION_CLICKED,
        COUPON_APPLIED,
        "Product Viewed",
        "Product Added",
        "Cart Viewed",
        "Checkout Started",
        "Page Viewed",
        "Store Visited",
    }
)
# Nothing a shop means lies before; a clock that was never set does, and the ledger counts from here.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
FAST_CLOCK = timedelta(days=1)
_NEEDS_ORDER = frozenset({ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED, "Order Updated"})
_MONEY = ("revenue", "total", "discount", "margin")


def read_properties(name: str, properties: Mapping[str, Any], *, currency: str, pointer: str) -> dict[str, Any]:
    """Return the properties of an event with its money in whole micros (`revenue_micros`, …).

    `revenue` is what was paid for goods after discounts; `total` stands in for it. A refund's is what was paid back.

    Raises
    ------
    InvalidInput : the name is unknown, an order event has no order id, an amount is impossible or of
        another currency; says where.
    """
    if name not in NAMES:
        raise InvalidInput(
            f"At {pointer}.event: {unknown('event', name, NAMES)}.",
            hint="Encore takes Segment's e-commerce event names.",
            pointer=f"{pointer}.event",
        )
    at = f"{pointer}.properties"
    facts = {key: value for key, value in properties.items() if key.removesuffix("_micros") not in _MONEY}
    for key in _MONEY:
        if properties.get(key) is not None:
            facts[f"{key}_micros"] = _amount(properties[key], f"{at}.{key}", allow_negative=key == "margin")
    if "revenue_micros" not in facts and "total_micros" in facts:
        facts["revenue_micros"] = facts["total_micros"]
    if name in _NEEDS_ORDER and not isinstance(properties.get("order_id"), str):
        raise InvalidInput(
            f"Expected a text at {at}.order_id of {name}, found {properties.get('order_id')!r}.",
            pointer=f"{at}.order_id",
        )
    if name == ORDER_COMPLETED and "revenue_micros" not in facts:
        raise InvalidInput(f"Expected {at}.revenue or .total of {name}, found neither.", pointer=f"{at}.revenue")
    given = properties.get("currency", currency)
    if given != currency:
        raise InvalidInput(
            f"Expected the programme's currency {currency} at {at}.currency, found {given!r}.",
            hint="Convert the amounts before sending them.",
            pointer=f"{at}.currency",
        )
    return facts


def _amount(value: Any, pointer: str, *, allow_negative: bool) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise InvalidInput(f"Expected an amount at {pointer}, found {value!r}.", pointer=pointer)
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        sentence = f'Expected an amount such as "49.90" at {pointer}, found {value!r}.'
        raise InvalidInput(sentence, pointer=pointer) from None
    return to_micros(amount, pointer=pointer, allow_negative=allow_negative)


def applied_to(customer: Customer, outcome: Outcome) -> Customer:
    """Return the customer after an outcome. Sums and extremes only, so that the order of arrival does not matter."""
    facts = outcome.properties
    if outcome.name == ORDER_COMPLETED:
        return replace(
            customer,
            orders=customer.orders + 1,
            revenue_micros=customer.revenue_micros + facts["revenue_micros"],
            first_order_at=min(customer.first_order_at or outcome.occurred_at, outcome.occurred_at),
            last_order_at=max(customer.last_order_at or outcome.occurred_at, outcome.occurred_at),
        )
    if outcome.name == ORDER_REFUNDED:
        paid_back = facts.get("revenue_micros", 0)
        return replace(customer, returns=customer.returns + 1, revenue_micros=customer.revenue_micros - paid_back)
    if outcome.name in (UNSUBSCRIBED, SUBSCRIBED):
        channel = str(facts.get("channel") or EVERY_CHANNEL)
        return _with_word(customer, channel, Consent(outcome.name == SUBSCRIBED, outcome.occurred_at))
    return customer


def _with_word(customer: Customer, channel: str, word: Consent) -> Customer:
    before = customer.consent.get(channel)
    # On the same instant a refusal wins: the order of arrival must not decide.
    if before is not None and (before.at, not before.given) > (word.at, not word.given):
        return customer
    return replace(customer, consent={**customer.consent, channel: word})


def check_time(occurred_at: datetime, *, now: datetime, pointer: str) -> None:
    """Raise `InvalidInput` when an event lies before 1970 or more than a day in the future: a clock is wrong."""
    if occurred_at < EARLIEST:
        raise InvalidInput(
            f"Expected a time after {EARLIEST:%Y} at {pointer}.timestamp, found {occurred_at.isoformat()}.",
            hint="Is the clock set?",
            pointer=f"{pointer}.timestamp",
        )
    if occurred_at - now > FAST_CLOCK:
        raise InvalidInput(
            f"Expected a time that is not in the future at {pointer}.timestamp, found {occurred_at.isoformat()}.",
            hint="Send UTC or a time with its offset.",
            pointer=f"{pointer}.timestamp",
        )
