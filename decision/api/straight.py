"""The straight way of `POST /v1/decisions` past Flask, for what a till sends all day.

Whatever is not a plain, valid, allowed question goes to Flask, which says what is wrong with it, or asks and answers
in its own way: there is no second account of mistakes. Flask's work around a request costs as much as a fifth of a
decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import msgspec
from flask import Flask

from decision.api import auth, decisions
from decision.api.gate import Wsgi
from decision.errors import IdempotencyMismatch, InvalidInput
from decision.watching.seen import seen_in
from decision.wiring import Shop

ADDRESS = "/v1/decisions"
ENDPOINT = "decisions.post_decision"
JSON = frozenset({"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"})
# Mistakes of a caller, of which nothing was written: Flask finds them again.
_MISTAKES = (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidInput, IdempotencyMismatch)


class Straight:
    """Answers plain questions itself, and leaves everything else to the application."""

    def __init__(self, app: Flask, shop: Shop) -> None:
        """The route's own declaration says who may ask."""
        self._app: Wsgi = app.wsgi_app
        self._shop = shop
        self._roles = frozenset(auth.access_of(app, ENDPOINT).roles)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if environ["PATH_INFO"] != ADDRESS or not self._is_plain(environ):
            return self._app(environ, start_response)
        length = int(environ["CONTENT_LENGTH"])
        body = environ["wsgi.input"].read(length)
        try:
            found = decisions.encoded_answer(
                body, environ.get("HTTP_IDEMPOTENCY_KEY"), shop=self._shop, environ=environ
            )
        except _MISTAKES:
            environ["wsgi.input"] = BytesIO(body)
            return self._app(environ, start_response)
        seen_in(environ).route = ADDRESS
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(found)))])
        return [found]

    def _is_plain(self, environ: dict[str, Any]) -> bool:
        """Return whether it is a question in JSON, of a length that is said and allowed, with a key that allows it."""
        length = environ.get("CONTENT_LENGTH", "")
        if (
            environ["REQUEST_METHOD"] != "POST"
            or environ.get("CONTENT_TYPE") not in JSON
            or not (length.isascii() and length.isdigit() and int(length) <= decisions.BODY_LIMIT)
        ):
            return False
        key = self._shop.keys.find(auth.presented(environ.get("HTTP_AUTHORIZATION", "")))
        return key is not None and key.role in self._roles
