"""Events by Segment's e-commerce names, read once at the door into the facts that rewards and customers need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec import structs

from decision.errors import InvalidInput
from decision.money import to_micros
from decision.programme.section import shown, unknown_name
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
# What others call it, where the name that is spelt most like it means something else.
_MEANT = {
    "Coupon Redeemed": COUPON_APPLIED,
    "Coupon Used": COUPON_APPLIED,
    "Order Placed": ORDER_COMPLETED,
    "Order Returned": ORDER_REFUNDED,
    "Purchase": ORDER_COMPLETED,
}
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
ORDER_ID_LIMIT = 200
# What changes an order and thereby the totals of its customer; what changes her consent.
OF_ORDERS = frozenset({ORDER_COMPLETED, ORDER_REFUNDED, ORDER_CANCELLED})
OF_CONSENT = frozenset({SUBSCRIBED, UNSUBSCRIBED})
_NEEDS_ORDER = OF_ORDERS | {"Order Updated"}
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
        raise unknown_name(
            "event",
            name,
            NAMES,
            meant=_MEANT.get(name),
            pointer=f"{pointer}.event",
            hint="/docs lists all of them with their properties.",
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
            f"Expected a text at {at}.order_id of {name}, found {shown(properties.get('order_id'))}.",
            pointer=f"{at}.order_id",
        )
    if name in _NEEDS_ORDER and len(properties["order_id"]) > ORDER_ID_LIMIT:
        raise InvalidInput(
            f"Expected at most {ORDER_ID_LIMIT} characters at {at}.order_id, found {len(properties['order_id'])}.",
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


@dataclass(frozen=True, slots=True)
class KnownOrder:
    """What is known of one order of a customer. The sequence in which its events arrive does not matter.

    As for rewards, the first of several completions counts, and a refund without an amount is one in full.
    """

    completed_at: datetime | None = None
    message_id: str = ""
    revenue_micros: int = 0
    refunded_micros: int = 0
    refunded: bool = False
    refunded_in_full: bool = False
    cancelled: bool = False

    def after(self, outcome: Outcome) -> KnownOrder:
        """Return what is known of the order after an event of it that was not known before."""
        facts = outcome.properties
        if outcome.name == ORDER_CANCELLED:
            return replace(self, cancelled=True)
        if outcome.name == ORDER_REFUNDED:
            paid_back = facts.get("revenue_micros")
            return replace(
                self,
                refunded=True,
                refunded_micros=self.refunded_micros + (paid_back or 0),
                refunded_in_full=self.refunded_in_full or paid_back is None,
            )
        completion = (outcome.occurred_at, outcome.message_id)
        if self.completed_at is not None and (self.completed_at, self.message_id) <= completion:
            return self
        return replace(
            self,
            completed_at=outcome.occurred_at,
            message_id=outcome.message_id,
            revenue_micros=facts["revenue_micros"],
        )

    @property
    def orders(self) -> int:
        """Return 1 when it counts as an order of hers, else 0."""
        return int(self.completed_at is not None and not self.cancelled)

    @property
    def returns(self) -> int:
        """Return 1 when it counts as a return, however many parcels came back; what was cancelled was never sent."""
        return int(self.refunded and not self.cancelled)

    @property
    def kept_micros(self) -> int:
        """Return the revenue that is left; below 0 when money was paid back for an order that was never told of."""
        if self.cancelled:
            return 0
        if self.completed_at is None:
            return -self.refunded_micros
        return 0 if self.refunded_in_full else max(self.revenue_micros - self.refunded_micros, 0)


def with_word(customer: Customer, outcome: Outcome) -> Customer:
    """Return the customer after she subscribed or unsubscribed: her latest word on a channel counts."""
    channel = str(outcome.properties.get("channel") or EVERY_CHANNEL)
    word = Consent(outcome.name == SUBSCRIBED, outcome.occurred_at)
    before = customer.consent.get(channel)
    # On the same instant a refusal wins: the order of arrival must not decide.
    if before is not None and (before.at, not before.given) > (word.at, not word.given):
        return customer
    return structs.replace(customer, consent={**customer.consent, channel: word})


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
            f"Expected a time at most a day in the future at {pointer}.timestamp, found {occurred_at.isoformat()}.",
            hint="Send UTC or a time with its offset.",
            pointer=f"{pointer}.timestamp",
        )
