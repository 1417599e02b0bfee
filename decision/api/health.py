"""`/livez` and `/readyz`: is the process up, and can it decide?"""

from __future__ import annotations

from flask import Blueprint, Response

from decision.api.auth import keyless
from decision.api.problem import answer, problem
from decision.watching.readiness import Readiness
from decision.wiring import Shop


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of health."""
    routes = Blueprint("health", __name__)
    readiness = Readiness(shop.ledger.rehearse)

    @routes.get("/livez")
    @keyless
    def livez() -> Response:
        return answer({"status": "ok"})

    @routes.get("/readyz")
    @keyless
    def readyz() -> Response:
        try:
            shop.ledger.cursor("ready")
        except Exception as error:
            return problem(503, "ledger-unavailable", f"The ledger can't be read: {type(error).__name__}.")
        if fault := readiness.fault():
            return problem(503, "ledger-unavailable", f"The ledger can't be written. {fault}")
        return answer({"status": "ok", "policy_version": shop.serving.version, "faults": shop.faults})

    return routes
