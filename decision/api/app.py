"""The Flask application."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask, request

from decision import server
from decision.api import (
    auth,
    customers,
    decisions,
    events,
    experiments,
    health,
    metrics,
    openapi,
    people,
    policy,
    problem,
)
from decision.api.compat import ofrep, personalizer, segment, webhooks
from decision.api.gate import Gate
from decision.api.straight import Straight
from decision.errors import EncoreError
from decision.watching import logs, places
from decision.watching.metrics import Metrics
from decision.watching.middleware import Watched
from decision.watching.seen import seen_in
from decision.wiring import Home, Shop

log = logging.getLogger("encore")


class App(Flask):
    """Flask, but what it logs of an exception quotes no request."""

    def log_exception(self, exc_info: Any) -> None:
        """Log that a request ended in a fault."""
        log.error("a request ended in a fault", exc_info=exc_info)


def create_app(shop: Shop, counted: Metrics | None = None, form: logs.Form | None = None) -> Flask:
    """Return the application that serves a shop: it counts by itself and logs no requests, unless told how."""
    app = App("encore", static_folder=None)
    problem.register(app)
    app.before_request(_note_route)
    auth.guard(app, shop)
    for room in (
        decisions,
        events,
        people,
        customers,
        experiments,
        policy,
        segment,
        ofrep,
        personalizer,
        webhooks,
        health,
        openapi,
    ):
        app.register_blueprint(room.blueprint(shop))
    counted = counted or Metrics()
    shop.on_fault = counted.survived
    app.register_blueprint(metrics.blueprint(shop, counted))
    # mypy takes the assignment of a method for a mistake; it is how Flask is wrapped. Whom the gate turns away is seen.
    app.wsgi_app = Straight(app, shop)  # type: ignore[method-assign]
    app.wsgi_app = Gate(app.wsgi_app, shop.limits, shed=partial(_note_shed, shop))  # type: ignore[method-assign]
    app.wsgi_app = Watched(app.wsgi_app, counted, form)  # type: ignore[method-assign]
    return app


def _note_route() -> None:
    if request.url_rule is not None:
        seen_in(request.environ).route = request.url_rule.rule


def _note_shed(shop: Shop, environ: dict[str, Any]) -> None:
    shop.count_fault("Shed")
    seen_in(environ).shed = True


def _counting(home: Home) -> Metrics:
    try:
        return Metrics(places.take(places.prepared(places.folder_of(home.root))))
    except EncoreError as error:
        # Better a till that is answered, and metrics of one process.
        log.error("this process counts by itself: %s", error)
        return Metrics()


def from_environment() -> Flask:
    """Return the application for the home folder in ENCORE_HOME; what a server's workers call."""
    server.leave_interrupts_to_parent()
    server.end_with_parent()
    form = logs.Form.from_environment()
    logs.set_up(form)
    home = Home(Path(os.environ.get("ENCORE_HOME", ".")))
    counted = _counting(home)
    shop = Shop(home)
    app = create_app(shop, counted, form)
    app.wsgi_app = server.CloseWhenTold(app.wsgi_app)  # type: ignore[method-assign]
    shop.follow()
    log.info("ready", extra={"facts": {"pid": os.getpid(), "policy_version": shop.serving.version}})
    return app
