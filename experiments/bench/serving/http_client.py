"""As little HTTP as a load needs: keep-alive connections over plain sockets, and silent ones beside them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

HOST = "127.0.0.1"
PATIENCE_SECONDS = 10.0
RECEIVE_BYTES = 65_536


class Connection:
    """One keep-alive connection with at most one question under way.

    `asked` is the id of that question, `since` the time from which its answer is waited for, in seconds.
    """

    def __init__(self, port: int) -> None:
        """Connect. Raises `OSError`."""
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = b""
        self.since = 0.0
        self._received = b""

    def ask(self, request: bytes, asked: bytes, *, since: float) -> None:
        """Send a request whose id is `asked`."""
        self.asked = asked
        self.since = since
        self.socket.sendall(request)

    def hear(self) -> tuple[int, bytes] | None:
        """Return status and body once they are complete, else None. Raises `ConnectionError` at an early end."""
        chunk = self.socket.recv(RECEIVE_BYTES)
        if not chunk:
            raise ConnectionResetError("closed before the answer was complete")
        self._received += chunk
        parsed = parse(self._received)
        if parsed is None:
            return None
        status, body, size = parsed
        self._received = self._received[size:]
        return status, body


def parse(received: bytes) -> tuple[int, bytes, int] | None:
    """Return status, body and size in bytes of the first answer in `received`, or None while it is incomplete.

    Raises
    ------
    ConnectionError : the answer has no Content-Length, so that its end can't be known.
    """
    head, separator, rest = received.partition(b"\r\n\r\n")
    if not separator:
        return None
    start, _, headers = head.partition(b"\r\n")
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
            if len(rest) < length:
                return None
            return int(start.split(b" ", 2)[1]), rest[:length], len(head) + 4 + length
    raise ConnectionError("no Content-Length in the answer")


@contextmanager
def silent(port: int, *, count: int) -> Iterator[None]:
    """Hold connections that have asked once, have been answered, and say nothing more. Raises `OSError`."""
    question = f"GET /readyz HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
    with ExitStack() as opened:
        for _ in range(count):
            connection = Connection(port)
            opened.callback(connection.socket.close)
            connection.ask(question, b"", since=0.0)
            while connection.hear() is None:
                pass
        yield
