"""`/v1/webhooks/shopify` and `/v1/webhooks/woocommerce`: what the shop platforms deliver, each with its signature.

No key is asked for: the platforms send none. What is answered 200 they forget, what is not they send again, and after
a few failures they stop: so all that was signed and could be written down is answered 200.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime

from flask import Blueprint, Response, request

from decision.api import parsing
from decision.api.auth import keyless
from decision.api.compat.shopify_reading import SHOPIFY
from decision.api.compat.signature import is_signed, secrets_of
from decision.api.compat.woocommerce_reading import WOOCOMMERCE
from decision.api.problem import answer, problem
from decision.flow.receive import Delivery, DeliveryReceipt, Desk, Source
from decision.watching.seen import seen_in
from decision.wiring import Shop, utc_now

BODY_LIMIT = 1024 * 1024
LONGEST_HEADER = 200
_PING = re.compile(rb"webhook_id=\d{1,20}")


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of the webhooks."""
    routes = Blueprint("webhooks", __name__)

    @routes.post("/v1/webhooks/shopify")
    @keyless
    def post_shopify() -> Response:
        body = parsing.body_of(request, limit=BODY_LIMIT)
        if not is_signed(body, _header("X-Shopify-Hmac-Sha256"), secrets_of("shopify", os.environ)):
            return _unsigned(shop, "shopify")
        sender = _header("X-Shopify-Shop-Domain")
        sent_at = _time(_header("X-Shopify-Triggered-At"))
        return _take(shop, SHOPIFY, Delivery("shopify", _header("X-Shopify-Topic"), sender, body, sent_at))

    @routes.post("/v1/webhooks/woocommerce")
    @keyless
    def post_woocommerce() -> Response:
        body = parsing.body_of(request, limit=BODY_LIMIT, also="application/x-www-form-urlencoded")
        signature = _header("X-WC-Webhook-Signature")
        if not signature and _PING.fullmatch(body):
            # What a new webhook is tried with, signed by nobody. It says nothing, and wants a 200.
            return answer(DeliveryReceipt(ignored="A ping."))
        if not is_signed(body, signature, secrets_of("woocommerce", os.environ)):
            return _unsigned(shop, "woocommerce")
        sender = _header("X-WC-Webhook-Source")
        return _take(shop, WOOCOMMERCE, Delivery("woocommerce", _header("X-WC-Webhook-Topic"), sender, body))

    return routes


def _take(shop: Shop, source: Source, delivery: Delivery) -> Response:
    desk = Desk(source, shop.serving.programme, shop.ledger, utc_now(), seen_in(request.environ).observed)
    receipt = desk.take(delivery)
    if receipt.inbox:
        shop.count_fault(f"{source.name}_in_inbox")
    return answer(receipt)


def _unsigned(shop: Shop, platform: str) -> Response:
    shop.count_fault(f"{platform}_unsigned")
    name = f"ENCORE_{platform.upper()}_SECRET"
    response = problem(
        401,
        "unauthorized",
        "Expected a body signed with the secret of this shop, found another signature or none.",
        hint=f"Set {name} or {name}_FILE where Encore is served, to the secret that the platform signs with.",
    )
    response.headers["WWW-Authenticate"] = 'Signature realm="encore"'
    return response


def _header(name: str) -> str:
    return request.headers.get(name, "")[:LONGEST_HEADER]


def _time(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
