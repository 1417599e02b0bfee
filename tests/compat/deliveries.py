"""Payloads as Shopify and WooCommerce send them, with all that they hold of a person, and how they are signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from typing import Any

from decision.ledger.base import Ledger
from tests.support import DAY, NOW

SECRETS = {"shopify": "hush-of-the-app", "woocommerce": "ck {odd} & \u00fcnusual"}
DOMAIN = "encore.example"
# What must never be in the ledger.
PERSON = ("anna@example.com", "Anna", "Smith", "Nordkai 1", "+4930123456", "203.0.113.9")


def body_of(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def signature(body: bytes, secret: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def shopify(topic: str, payload: Any, *, secret: str = SECRETS["shopify"], **changes: str) -> dict[str, Any]:
    """Return what a client posts to deliver a webhook of Shopify."""
    body = body_of(payload)
    headers = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": signature(body, secret),
        "X-Shopify-Shop-Domain": DOMAIN,
        "X-Shopify-API-Version": "2026-04",
        "X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043",
        "X-Shopify-Event-Id": "98880550-7158-44d4-b7cd-2c97c8a091b5",
        "X-Shopify-Triggered-At": at(NOW),
    }
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return {"data": body, "headers": headers | changed, "content_type": "application/json"}


def woocommerce(topic: str, payload: Any, *, secret: str = SECRETS["woocommerce"], **changes: str) -> dict[str, Any]:
    """Return what a client posts to deliver a webhook of WooCommerce."""
    body = body_of(payload)
    headers = {
        "X-WC-Webhook-Source": f"https://{DOMAIN}/",
        "X-WC-Webhook-Topic": topic,
        "X-WC-Webhook-Resource": topic.partition(".")[0],
        "X-WC-Webhook-Event": topic.partition(".")[2],
        "X-WC-Webhook-Signature": signature(body, secret),
        "X-WC-Webhook-ID": "7",
        "X-WC-Webhook-Delivery-ID": "d41d8cd98f00b204e9800998ecf8427e",
    }
    changed = {name.replace("_", "-"): value for name, value in changes.items()}
    return {"data": body, "headers": headers | changed, "content_type": "application/json"}


def at(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def gmt(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat()


def money(amount: str, currency: str = "EUR", shown: str | None = None, shown_in: str = "CHF") -> dict[str, Any]:
    """Return an amount as Shopify gives it: in the shop's currency and in the customer's."""
    seen = {"amount": shown or amount, "currency_code": shown_in if shown else currency}
    return {"shop_money": {"amount": amount, "currency_code": currency}, "presentment_money": seen}


def shopify_order(number: int = 820982911946154508, **changes: Any) -> dict[str, Any]:
    """Return a paid order: goods for 50.00, 5.00 off by a code, 4.90 shipping, tax included."""
    address = {"first_name": "Anna", "last_name": "Smith", "address1": "Nordkai 1", "phone": "+4930123456"}
    order = {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Order/{number}",
        "app_id": 580111,
        "browser_ip": "203.0.113.9",
        "buyer_accepts_marketing": True,
        "cancel_reason": None,
        "cancelled_at": None,
        "client_details": {"browser_ip": "203.0.113.9", "user_agent": "Mozilla/5.0"},
        "confirmed": True,
        "contact_email": "anna@example.com",
        "created_at": at(NOW - timedelta(hours=1)),
        "currency": "EUR",
        "current_subtotal_price": "45.00",
        "customer_locale": "de",
        "discount_applications": [{"type": "discount_code", "code": "SPRING", "value": "5.0", "value_type": "fixed"}],
        "discount_codes": [{"code": "SPRING", "amount": "5.00", "type": "fixed_amount"}],
        "email": "anna@example.com",
        "financial_status": "paid",
        "fulfillment_status": None,
        "name": "#9999",
        "note": "please leave it with Smith next door",
        "note_attributes": [{"name": "greeting", "value": "for Anna"}],
        "number": 234,
        "order_number": 1234,
        "phone": "+4930123456",
        "presentment_currency": "EUR",
        "processed_at": at(NOW - timedelta(hours=1)),
        "refunds": [],
        "source_name": "web",
        "subtotal_price": "45.00",
        "subtotal_price_set": money("45.00"),
        "tags": "",
        "tax_lines": [{"price": "7.97", "rate": 0.19, "title": "VAT", "price_set": money("7.97")}],
        "taxes_included": True,
        "test": False,
        "total_discounts": "5.00",
        "total_discounts_set": money("5.00"),
        "total_line_items_price": "50.00",
        "total_line_items_price_set": money("50.00"),
        "total_price": "49.90",
        "total_price_set": money("49.90"),
        "total_shipping_price_set": money("4.90"),
        "total_tax": "7.97",
        "updated_at": at(NOW),
        "billing_address": address,
        "shipping_address": address,
        "customer": {"id": 115310627314723954, "email": "anna@example.com", "first_name": "Anna", "state": "enabled"},
        "line_items": [shopify_line(1, "30.00", "27.00"), shopify_line(2, "20.00", "18.00")],
        "shipping_lines": [{"id": 1, "title": "DHL", "price": "4.90", "price_set": money("4.90")}],
    }
    return order | changes


def shopify_line(number: int, price: str, discounted: str) -> dict[str, Any]:
    return {
        "id": number,
        "sku": f"SKU-{number}",
        "name": f"Thing {number}",
        "quantity": 1,
        "price": price,
        "price_set": money(price),
        "discount_allocations": [{"amount": f"{float(price) - float(discounted):.2f}"}],
        "taxable": True,
    }


def shopify_refund(order: int = 820982911946154508, number: int = 929361464, **changes: Any) -> dict[str, Any]:
    """Return the refund of one of two lines, 18.00 of 45.00, put back into stock."""
    refund = {
        "id": number,
        "admin_graphql_api_id": f"gid://shopify/Refund/{number}",
        "order_id": order,
        "created_at": at(NOW),
        "processed_at": at(NOW),
        "note": "Anna did not like it",
        "user_id": 548380009,
        "restock": True,
        "refund_line_items": [
            {
                "id": 487817672276298627,
                "line_item_id": 2,
                "location_id": 1,
                "quantity": 1,
                "restock_type": "return",
                "subtotal": 18.00,
                "subtotal_set": money("18.00"),
                "total_tax": 2.87,
                "total_tax_set": money("2.87"),
                "line_item": shopify_line(2, "20.00", "18.00"),
            }
        ],
        "transactions": [shopify_transaction("18.00", order)],
        "order_adjustments": [],
        "duties": [],
    }
    return refund | changes


def shopify_transaction(amount: str, order: int = 1, **changes: Any) -> dict[str, Any]:
    transaction = {
        "id": 245135271310201194,
        "order_id": order,
        "kind": "refund",
        "gateway": "shopify_payments",
        "status": "success",
        "amount": amount,
        "currency": "EUR",
        "test": False,
        "receipt": {"card_holder": "Anna Smith"},
    }
    return transaction | changes


def woo_order(number: int = 727, **changes: Any) -> dict[str, Any]:
    """Return a paid order: goods for 45.00 after 5.00 off, 4.90 shipping, 9.48 tax, 59.38 in all."""
    address = {"first_name": "Anna", "last_name": "Smith", "address_1": "Nordkai 1", "email": "anna@example.com"}
    order = {
        "id": number,
        "parent_id": 0,
        "number": str(number),
        "order_key": "wc_order_58d2d042d1d",
        "created_via": "checkout",
        "version": "10.2.0",
        "status": "processing",
        "currency": "EUR",
        "date_created": gmt(NOW),
        "date_created_gmt": gmt(NOW - timedelta(hours=1)),
        "date_modified": gmt(NOW),
        "date_modified_gmt": gmt(NOW),
        "discount_total": "5.00",
        "discount_tax": "0.95",
        "shipping_total": "4.90",
        "shipping_tax": "0.93",
        "cart_tax": "8.55",
        "total": "59.38",
        "total_tax": "9.48",
        "prices_include_tax": False,
        "customer_id": 26,
        "customer_ip_address": "203.0.113.9",
        "customer_note": "ring at Smith",
        "billing": address | {"phone": "+4930123456"},
        "shipping": address,
        "payment_method": "bacs",
        "date_paid": gmt(NOW),
        "date_paid_gmt": gmt(NOW),
        "meta_data": [{"id": 13106, "key": "_greeting", "value": "for Anna"}],
        "line_items": [
            {"id": 315, "name": "Thing", "quantity": 2, "subtotal": "30.00", "total": "27.00", "total_tax": "5.13"},
            {"id": 316, "name": "Other", "quantity": 1, "subtotal": "20.00", "total": "18.00", "total_tax": "3.42"},
        ],
        "tax_lines": [{"id": 318, "rate_code": "DE-VAT", "tax_total": "8.55"}],
        "shipping_lines": [{"id": 317, "method_title": "DHL", "total": "4.90"}],
        "fee_lines": [],
        "coupon_lines": [{"id": 319, "code": "spring", "discount": "5.00", "discount_tax": "0.95"}],
        "refunds": [],
    }
    return order | changes


def told(ledger: Ledger, customer_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the names and facts of what has been told of a customer."""
    found = ledger.outcomes_of(customer_id, start=NOW - 400 * DAY, end=NOW + 400 * DAY)
    return [(one.name, dict(one.properties)) for one in found]
