"""Past what a process can take on, it says so at once: 503 and Retry-After instead of a queue that grows."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from decision.api.schemas import Problem
from decision.limits import Limits

# Who watches over a busy server must not hear that it is down.
NEVER_SHED = frozenset({"/livez", "/readyz", "/metrics"})
RETRY_AFTER_SECONDS = 1
# When a request came, by the monotonic clock: what it waits for its turn counts against its deadline.
CAME = "encore.came"
_PROBLEM = msgspec.json.encode(
    Problem(
        type="urn:encore:problem:overloaded",
        title="overloaded",
        status=503,
        detail="Expected fewer requests at once than this, found all places taken.",
        hint=f"Ask again after {RETRY_AFTER_SECONDS} s; `encore serve --help` says how to take on more.",
    )
)
_HEADERS = [
    ("Content-Type", "application/problem+json"),
    ("Content-Length", str(len(_PROBLEM))),
    ("Retry-After", str(RETRY_AFTER_SECONDS)),
]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Gate:
    """Lets so many requests at once into an application, so many more wait, and turns the others away."""

    def __init__(self, app: Wsgi, limits: Limits, *, shed: Callable[[dict[str, Any]], None]) -> None:
        """`shed` is called with the environment of each request that is turned away."""
        self._app = app
        self._patience = limits.deadline_seconds
        self._shed = shed
        self._places = [None] * (limits.at_once + limits.waiting)
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()
        for _ in range(limits.at_once):
            self._turns.put(None)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        if environ["PATH_INFO"] in NEVER_SHED:
            return self._app(environ, start_response)
        environ[CAME] = time.monotonic()
        try:
            # Taken and given back at once for all threads: list operations are atomic.
            self._places.pop()
        except IndexError:
            return self._turned_away(environ, start_response)
        try:
            self._turns.get(timeout=self._patience)
        except queue.Empty:
            return self._turned_away(environ, start_response)
        else:
            try:
                return self._app(environ, start_response)
            finally:
                self._turns.put(None)
        finally:
            self._places.append(None)

    def _turned_away(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self._shed(environ)
        start_response("503 SERVICE UNAVAILABLE", _HEADERS)
        return [_PROBLEM]
