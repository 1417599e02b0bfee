"""What others call the events that Encore knows: the names and properties of GA4 and of Braze's e-commerce events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES: Mapping[str, str] = {
    "purchase": "Order Completed",
    "refund": "Order Refunded",
    "view_item": "Product Viewed",
    "add_to_cart": "Product Added",
    "view_cart": "Cart Viewed",
    "begin_checkout": "Checkout Started",
    "view_promotion": "Promotion Viewed",
    "select_promotion": "Promotion Clicked",
    "page_view": "Page Viewed",
    "ecommerce.order_placed": "Order Completed",
    "ecommerce.order_refunded": "Order Refunded",
    "ecommerce.order_cancelled": "Order Cancelled",
    "ecommerce.product_viewed": "Product Viewed",
    "ecommerce.checkout_started": "Checkout Started",
}
# Their word for a property, and ours. A property that was sent under our name stays as it is.
_PROPERTIES: Mapping[str, str] = {
    "transaction_id": "order_id",
    "value": "revenue",
    "total_value": "revenue",
    "total_discounts": "discount",
    "affiliation": "store",
}
# Where `value` is the worth of what was looked at, it is no revenue; only orders have that.
_OF_ORDERS = frozenset({"purchase", "refund", "ecommerce.order_placed", "ecommerce.order_refunded"})


def name_of(event: str) -> str:
    """Return Encore's name of an event; one that nobody knows stays as it is, and is refused later."""
    return NAMES.get(event, event)


def properties_of(event: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties of an event under Encore's names, without empty ones, order ids as texts."""
    found = {key: value for key, value in properties.items() if value is not None}
    for theirs, ours in _PROPERTIES.items():
        known = theirs in ("affiliation", "transaction_id") or event in _OF_ORDERS
        if known and ours not in found and theirs in found:
            found[ours] = found[theirs]
    order_id = found.get("order_id")
    if isinstance(order_id, int) and not isinstance(order_id, bool):
        found["order_id"] = str(order_id)
    return found
