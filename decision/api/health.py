"""`/livez` and `/readyz`: is the process up, and can it decide?"""

from __future__ import annotations

from flask import Blueprint, Response

from decision.api.auth import keyless
from decision.api.problem import answer, problem
from decision.wiring import Shop


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of health."""
    routes = Blueprint("health", __name__)

    @routes.get("/livez")
    @keyless
    def livez() -> Response:
        return answer({"status": "ok"})

    @routes.get("/readyz")
    @keyless
    def readyz() -> Response:
        try:
            shop.ledger.cursor("ready")
        except Exception as fault:
            return problem(503, "ledger-unavailable", f"The ledger can't be read: {type(fault).__name__}.")
        return answer({"status": "ok", "policy_version": shop.serving.version, "faults": shop.faults})

    return routes
