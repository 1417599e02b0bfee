"""`GET /metrics`: what all processes have counted, and what the ledger says, as Prometheus reads it."""

from __future__ import annotations

from flask import Blueprint, Response, request

from decision.api.auth import open_to
from decision.stages.keys import Role
from decision.watching.from_ledger import FromLedger
from decision.watching.metrics import Metrics
from decision.wiring import Shop, utc_now


def blueprint(shop: Shop, metrics: Metrics) -> Blueprint:
    """Return the route of metrics."""
    routes = Blueprint("metrics", __name__)

    @routes.get("/metrics")
    @open_to(Role.OPERATOR, Role.ANALYST, Role.MARKETER)
    def get_metrics() -> Response:
        ledger = FromLedger(shop.ledger, shop.serving.programme, utc_now)
        text, kind = metrics.text(request.headers.get("Accept", ""), [ledger])
        return Response(text, content_type=kind)

    return routes
