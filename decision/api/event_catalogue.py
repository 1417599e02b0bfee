"""The events that `POST /v1/events` takes, for who reads `/docs` and `/openapi.json`."""

from __future__ import annotations

from typing import Any

# Name, what it is for, and its properties; those with * are required. Others may be sent and are kept as they come.
_COUPON = "coupon_id (the code of the decision)"
EVENTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "Order Completed",
        "The customer bought; counts as a visit. A redemption is told here: put the code of the decision into coupon.",
        ("order_id*", "revenue* (or total)", "discount", "margin", "currency", "coupon"),
    ),
    (
        "Order Refunded",
        "Money was paid back: revenue says how much, all of the order where it is left out.",
        ("order_id*", "revenue (or total)", "currency"),
    ),
    ("Order Cancelled", "The order never happened.", ("order_id*",)),
    ("Order Updated", "Kept; changes no reward.", ("order_id*", "revenue (or total)", "currency")),
    ("Coupon Applied", "The offer was used on an order; counts as a visit.", ("order_id", _COUPON)),
    ("Coupon Removed", "It was taken off that order again.", ("order_id", _COUPON)),
    ("Coupon Entered", "Kept; changes no reward.", ("order_id", _COUPON)),
    ("Coupon Denied", "Kept; changes no reward.", ("order_id", _COUPON)),
    ("Promotion Viewed", "She saw the offer; not yet a visit.", ("promotion_id",)),
    ("Promotion Clicked", "She followed the offer; counts as a visit.", ("promotion_id",)),
    ("Unsubscribed", "She refuses a channel; without channel, all of them.", ("channel",)),
    ("Subscribed", "She agrees to a channel; without channel, to all of them.", ("channel",)),
    *(
        (name, "Counts as a visit.", ())
        for name in (
            "Product Viewed",
            "Product Added",
            "Cart Viewed",
            "Checkout Started",
            "Page Viewed",
            "Store Visited",
        )
    ),
)
RULES = (
    'Amounts (revenue, total, discount, margin) are best sent as texts ("42.00"), in the programme\'s currency. '
    "revenue is what was paid for goods after discounts. A decision_id instead of a coupon ties a redemption to its "
    "decision too. A timestamp has its offset, lies after 1970 and at most a day in the future, because clocks differ. "
    "Events may come late and in any order."
)
EXAMPLES: dict[str, dict[str, Any]] = {
    "order": {
        "event": "Order Completed",
        "message_id": "m-1",
        "customer_id": "C-1001",
        "timestamp": "2026-11-20T10:00:00Z",
        "properties": {"order_id": "O-2", "revenue": "42.00", "currency": "EUR"},
    },
    "redemption": {
        "event": "Order Completed",
        "message_id": "m-2",
        "customer_id": "C-1001",
        "timestamp": "2026-11-21T10:00:00Z",
        "properties": {"order_id": "O-3", "revenue": "36.00", "discount": "4.00", "coupon": "ENNY5BAWA4LI"},
    },
    "refund": {
        "event": "Order Refunded",
        "message_id": "m-3",
        "customer_id": "C-1001",
        "timestamp": "2026-11-25T10:00:00Z",
        "properties": {"order_id": "O-2", "revenue": "42.00"},
    },
    "opt-out": {
        "event": "Unsubscribed",
        "message_id": "m-4",
        "customer_id": "C-1001",
        "timestamp": "2026-11-26T10:00:00Z",
        "properties": {"channel": "email"},
    },
}


def described() -> str:
    """Return all of it as text, in the Markdown that OpenAPI's descriptions are written in."""
    lines = [
        f"- **{name}**: {about}" + (f" Properties: {', '.join(properties)}." if properties else "")
        for name, about, properties in EVENTS
    ]
    return "\n".join(["The names are those of Segment's e-commerce events.", "", *lines, "", RULES])
