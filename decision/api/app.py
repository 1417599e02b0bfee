"""The Flask application."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from decision import server
from decision.api import auth, decisions, events, health, openapi, policy, problem
from decision.api.compat import segment
from decision.api.gate import Gate
from decision.wiring import Home, Shop


def create_app(shop: Shop) -> Flask:
    """Return the application that serves a shop."""
    app = Flask("encore", static_folder=None)
    problem.register(app)
    app.wsgi_app = Gate(app.wsgi_app, shop.limits, shed=lambda: shop.count_fault("Shed"))  # type: ignore[method-assign]
    auth.guard(app, shop)
    for room in (decisions, events, policy, segment, health, openapi):
        app.register_blueprint(room.blueprint(shop))
    return app


def from_environment() -> Flask:
    """Return the application for the home folder in ENCORE_HOME; what a server's workers call."""
    server.leave_interrupts_to_parent()
    server.end_with_parent()
    shop = Shop(Home(Path(os.environ.get("ENCORE_HOME", "."))))
    shop.follow()
    return create_app(shop)
