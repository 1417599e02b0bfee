"""Brings signed messages to one endpoint over HTTP. Redirects are not followed, and answers are not read for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from decision import __version__
from decision.errors import InvalidInput
from decision.exchange import Address, Connections
from decision.stages.delivery import Endpoint, Reply
from decision.stages.signing import Secret, headers, valid

TIMEOUT = 15.0
ANSWER_LIMIT = 64 * 1024


def check_url(url: str, *, plain: bool = False) -> None:
    """Raise `InvalidInput` for a URL to which messages would travel in the open, unless `plain` or on this machine."""
    address = Address(url)
    if not address.secure and not address.local and not plain:
        raise InvalidInput(
            "Expected a URL with https, found http.", hint="--plain-http accepts it, for a network of your own."
        )


class Courier:
    """The way to one endpoint, for any number of threads."""

    def __init__(
        self, endpoint: Endpoint, secrets: Callable[[], tuple[Secret, ...]], clock: Callable[[], datetime]
    ) -> None:
        """`secrets` is asked at every message, so that a rotation is followed."""
        self._address = Address(endpoint.url)
        self._connections = Connections(self._address)
        self._secrets = secrets
        self._clock = clock

    def post(self, message_id: str, body: bytes) -> Reply:
        """Send a message and return what came back. Raises `EncoreError` when there is no secret to sign with."""
        at = self._clock()
        signed = headers(valid(self._secrets(), at), message_id=message_id, at=at, body=body)
        sent = {**signed, "Content-Type": "application/json", "User-Agent": f"encore-webhooks/{__version__}"}
        until = time.monotonic() + TIMEOUT
        try:
            answer = self._connections.post(self._address.target, body, sent, until=until, limit=ANSWER_LIMIT)
        except TimeoutError:
            return Reply(None, f"no answer within {TIMEOUT:g} s")
        except OSError as error:
            return Reply(None, f"no answer: {error.strerror or type(error).__name__}")
        asked = None if answer.retry_after is None else timedelta(seconds=min(answer.retry_after, 86_400.0))
        return Reply(answer.status, f"status {answer.status}", asked)

    def close(self) -> None:
        """Close idle connections."""
        self._connections.close()
