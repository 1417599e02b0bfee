"""Errors as RFC 9457 problem details: one table maps the error tree to HTTP."""

from __future__ import annotations

import msgspec
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from decision.api.schemas import Problem
from decision.errors import EncoreError, IdempotencyMismatch, InvalidInput, LedgerError, NotFound, UnknownName

_encoder = msgspec.json.Encoder()

STATUS: tuple[tuple[type[EncoreError], int, str], ...] = (
    (IdempotencyMismatch, 422, "idempotency-mismatch"),
    (UnknownName, 422, "unknown-name"),
    (InvalidInput, 422, "invalid-input"),
    (NotFound, 404, "not-found"),
    (LedgerError, 503, "ledger-unavailable"),
    (EncoreError, 500, "internal"),
)


class BadJson(InvalidInput):
    """The body is not JSON."""


def answer(value: object, status: int = 200) -> Response:
    """Return a value as a JSON response."""
    return Response(_encoder.encode(value), status=status, mimetype="application/json")


def problem(status: int, kind: str, detail: str, *, hint: str = "", pointer: str = "") -> Response:
    """Return a problem response; `kind` names the type and, with spaces, the title."""
    body = Problem(
        type=f"urn:encore:problem:{kind}",
        title=kind.replace("-", " "),
        status=status,
        detail=detail,
        hint=hint,
        pointer=pointer,
    )
    return Response(_encoder.encode(body), status=status, mimetype="application/problem+json")


def _of_encore(error: EncoreError) -> Response:
    if isinstance(error, BadJson):
        return problem(400, "bad-json", error.message, hint=error.hint)
    for kind, status, name in STATUS:
        if isinstance(error, kind):
            pointer = error.pointer if isinstance(error, InvalidInput) else ""
            return problem(status, name, error.message, hint=error.hint, pointer=pointer)
    raise error


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    detail = {
        404: "There is nothing at this address; /openapi.json lists what there is.",
        405: f"This address takes {', '.join(sorted(getattr(error, 'valid_methods', None) or []))}.",
        415: "Expected Content-Type: application/json.",
    }.get(status, error.description or error.name)
    response = problem(status, error.name.lower().replace(" ", "-"), detail)
    for name, value in error.get_headers():
        if name.lower() == "allow":
            response.headers[name] = value
    return response


def register(app: Flask) -> None:
    """Make every error of the app a problem response."""
    app.register_error_handler(EncoreError, _of_encore)
    app.register_error_handler(HTTPException, _of_http)
