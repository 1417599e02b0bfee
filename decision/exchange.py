"""HTTP calls of our own that end at a deadline, whatever the other side does; connections are kept for the next call.

The timeouts of HTTP libraries, the standard one included, are for each read: who sends a byte now and then is waited
for without end. Here every read gets what is left of the whole. Only looking up a name has no deadline.
"""

from __future__ import annotations

import io
import os
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from decision.errors import InvalidInput

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_IDLE = 16
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `body` is cut off at the caller's limit, `retry_after` is in seconds where it was given so."""

    status: int
    body: bytes
    retry_after: float | None


class Address:
    """Where calls go: scheme, host, port, and what stands before every path."""

    def __init__(self, url: str) -> None:
        """Read a URL. Raises `InvalidInput` when nobody can be called there."""
        try:
            parts = urlsplit(url)
            self.port = parts.port or PORTS[parts.scheme]
            self.host = parts.hostname or ""
        except (KeyError, ValueError):
            self.host = ""
        if not self.host or parts.username or parts.password or parts.fragment or not url.isascii() or " " in url:
            # The text itself may hold a password, and errors are logged.
            raise InvalidInput(
                "Expected a URL such as https://encore.example.com, without a user, found another text.",
                hint="Keys and secrets are given apart.",
            )
        self.secure = parts.scheme == "https"
        self.prefix = parts.path.rstrip("/")
        self.target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self.netloc = parts.netloc

    @property
    def local(self) -> bool:
        """Return whether the host is this machine, so that what is sent can't be overheard."""
        return self.host in ("localhost", "127.0.0.1", "::1")


class Connections:
    """Idle connections to one address, for any number of threads; a call takes one, and gives it back when all is read.

    A forked child starts without any: two processes on one connection would read each other's answers.
    """

    def __init__(self, address: Address) -> None:
        """Nothing is opened before the first call."""
        self.address = address
        self._context: ssl.SSLContext | None = None
        self._idle: deque[HTTPConnection] = deque()
        self._owner = os.getpid()

    def post(self, target: str, body: bytes, headers: Mapping[str, str], *, until: float, limit: int) -> Answer:
        """Send a body and return the answer; redirects are not followed. `until` is on the monotonic clock.

        Raises
        ------
        TimeoutError : the deadline came first.
        OSError : no connection, or it broke, or what came is not HTTP.
        """
        connection = self._taken() or self._opened(until)
        try:
            with _asked(connection, target, body, {"Host": self.address.netloc, **headers}, until) as response:
                found = response.read(limit)
                if response.length and len(found) < limit:
                    raise ConnectionError("expected the rest of the answer, found the end of the connection")
                kept = response.isclosed() and connection.sock is not None and len(self._idle) < MOST_IDLE
        except HTTPException as error:
            connection.close()
            raise ConnectionError(f"expected HTTP, found {type(error).__name__}") from error
        except BaseException:
            connection.close()
            raise
        if kept:
            self._idle.append(connection)
        else:
            connection.close()
        return Answer(response.status, found, _seconds(response.headers.get("Retry-After")))

    def _taken(self) -> HTTPConnection | None:
        if self._owner != os.getpid():
            self._idle, self._owner = deque(), os.getpid()
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                # Another thread was faster.
                return None
            # Whatever can be read before anything was asked is the end of the connection.
            if not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()
        return None

    def _opened(self, until: float) -> HTTPConnection:
        address = self.address
        sock: socket.socket = _dialled(address.host, address.port, until)
        if address.secure:
            self._context = self._context or ssl.create_default_context()
            try:
                sock.settimeout(_left(until))
                sock = self._context.wrap_socket(sock, server_hostname=address.host)
            except BaseException:
                sock.close()
                raise
        connection = HTTPConnection(address.host, address.port)
        connection.sock = sock
        return connection

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time is over")
    return left


def _dialled(host: str, port: int, until: float) -> socket.socket:
    fault: OSError = ConnectionError("the name has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(_left(until))
            sock.connect(address)
            # The last packet of a request would wait for word on the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            fault = error
    raise fault


def _asked(
    connection: HTTPConnection, target: str, body: bytes, headers: Mapping[str, str], until: float
) -> HTTPResponse:
    connection.sock.settimeout(_left(until))
    connection.request("POST", target, body, headers)
    connection.response_class = partial(_Response, until=until)  # type: ignore[assignment]
    return connection.getresponse()


def _seconds(header: str | None) -> float | None:
    # It may be a date as well, which depends on two clocks being right.
    return float(header) if header is not None and header.isascii() and header.isdigit() else None


class _Response(HTTPResponse):
    """An answer whose every read ends at a deadline."""

    def __init__(self, sock: socket.socket, *rest: Any, until: float, **named: Any) -> None:
        super().__init__(sock, *rest, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Until(sock, until))


class _Until(io.RawIOBase):
    """What a socket receives until a deadline."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._until = until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int | None:
        self._sock.settimeout(_left(self._until))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
