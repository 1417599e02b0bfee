"""`GET /v1/customers/{id}/export` and `DELETE /v1/customers/{id}`: what is held about one person, and its end."""

from __future__ import annotations

import secrets

from flask import Blueprint, Response, request

from decision.api.auth import open_to, presented
from decision.api.problem import answer
from decision.errors import NotFound
from decision.flow import forget as rights
from decision.ledger.forget import finish, scrub
from decision.wiring import Shop, utc_now


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of customers: for admin alone."""
    routes = Blueprint("customers", __name__)

    @routes.get("/v1/customers/<customer_id>/export")
    @open_to()
    def export_customer(customer_id: str) -> Response:
        return answer(rights.customer_export(shop.home.ledger_path, customer_id))

    @routes.delete("/v1/customers/<customer_id>")
    @open_to()
    def forget_customer(customer_id: str) -> Response:
        path, key = shop.home.ledger_path, shop.keys.find(presented(request.environ.get("HTTP_AUTHORIZATION", "")))
        try:
            done = rights.forget(
                path,
                customer_id,
                programme=shop.serving.programme,
                names=lambda: secrets.token_hex(16),
                actor=f"key {key.name}" if key else "admin",
                now=utc_now(),
            )
        except NotFound:
            # She may be the one whom a process forgot that was killed before her bytes were gone.
            finish(path)
            raise
        scrub(path, done)
        return answer({"decisions": done.decisions, "events": done.events})

    return routes
