"""Around the whole application: every request is timed, counted, told in one line, and given its id back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import perf_counter
from typing import TYPE_CHECKING, Any

from decision.watching.logs import FaultLog, Form, RequestLine, write
from decision.watching.metrics import Metrics
from decision.watching.seen import KEY, Seen

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

log = logging.getLogger("encore")


class Watched:
    """A WSGI application that is watched."""

    def __init__(self, app: WSGIApplication, metrics: Metrics, form: Form | None) -> None:
        """Count in `metrics`; without a `form` requests have no lines."""
        self._app, self._metrics = app, metrics
        self._form = form if form is not None and form.tells_requests else None
        self._faults = FaultLog(log)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request; it is counted before its answer leaves, so that no kill comes between."""
        began = perf_counter()
        seen = environ[KEY] = Seen.of(environ)
        status = 500

        def begin_response(line: str, headers: list[tuple[str, str]], *failure: Any) -> Callable[[bytes], object]:
            nonlocal status
            status = int(line[:3])
            return start_response(line, [*headers, ("X-Request-Id", seen.request_id)], *failure)

        with suppress(Exception):
            self._metrics.begin()
        try:
            return self._app(environ, begin_response)
        finally:
            try:
                self._done(environ["REQUEST_METHOD"], seen, status, perf_counter() - began)
            except Exception as fault:
                # A fault in watching must not become one of what is watched.
                self._faults.tell("a request could not be counted", fault, {})

    def _done(self, method: str, seen: Seen, status: int, taken: float) -> None:
        self._count(seen)
        self._metrics.end(method, seen.route, status, seconds=taken)
        if seen.fault is not None:
            ids = {"request_id": seen.request_id, "decision_id": seen.decision_id}
            self._faults.tell("a decision was answered control after a fault", seen.fault, ids)
        if self._form is not None:
            line = RequestLine(
                time=datetime.now(UTC),
                level="info",
                event="request",
                method=method,
                route=seen.route,
                status=status,
                ms=round(taken * 1000, 2),
                request_id=seen.request_id,
                trace_id=seen.trace_id,
                decision_id=seen.decision_id,
                action=seen.action,
                reason=seen.reason,
            )
            write(self._form.of_request(line))

    def _count(self, seen: Seen) -> None:
        if seen.shed:
            self._metrics.shed()
        if seen.fault is not None:
            self._metrics.fell_back(seen.fault)
        if seen.decision is not None:
            if seen.repeated:
                self._metrics.repeated()
            else:
                self._metrics.decided(seen.decision)
        if seen.ranking is not None:
            self._metrics.ranked(seen.ranking)
        for receipt in seen.receipts:
            self._metrics.observed(receipt)
