"""The load: a closed loop over keep-alive connections, in a process of its own that imports next to nothing.

Each connection asks, waits for the whole answer, and asks again, as a till does: while the server stalls it is asked
less, so the p99 is that of so many waiting tills, not of a fixed rate of arrivals. `python -m experiments.bench.load`
reads a `Load` as JSON from its input and writes what it `Measured` to its output.
"""

from __future__ import annotations

import itertools
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

HOST = "127.0.0.1"
PLACEHOLDER = b"@" * 32
PATIENCE_SECONDS = 10.0
RECEIVE_BYTES = 65_536
OK = 200


class Load(msgspec.Struct, frozen=True):
    """What to send. A request's id is `prefix` [24 characters] and a number; it replaces every `PLACEHOLDER`."""

    port: int
    seconds: float
    connections: int
    prefix: str
    requests: tuple[bytes, ...]


class Measured(msgspec.Struct, frozen=True):
    """What came back; latencies are those of the `acknowledged` ids, which the server said it recorded.

    `busy` is the share of its time that the client worked: near 1, it measures itself and not the server.
    """

    seconds: float
    p50_ms: float
    p99_ms: float
    busy: float
    errors: dict[str, int]
    acknowledged: tuple[str, ...]


class Connection:
    """One keep-alive connection with at most one question under way."""

    def __init__(self, port: int) -> None:
        """Connect. Raises `OSError`."""
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.asked = b""
        self.asked_at = 0.0
        self._received = b""

    def ask(self, request: bytes, asked: bytes) -> None:
        """Send a request whose id is `asked`."""
        self.asked = asked
        self.asked_at = time.perf_counter()
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


def fault_in(status: int, body: bytes, asked: bytes) -> str | None:
    """Return what is wrong with an answer, None when it acknowledges the decision that was asked for."""
    if status != OK:
        return f"status {status}"
    if b'"recorded":true' not in body:
        return "not recorded"
    return None if asked in body else "answer to another question"


class Run:
    """One closed loop from start to end."""

    def __init__(self, load: Load) -> None:
        """Take what to send; `run` sends it."""
        self.load = load
        self.latencies: list[float] = []
        self.acknowledged: list[str] = []
        self.errors: Counter[str] = Counter()
        self._selector = selectors.DefaultSelector()
        self._requests = self._fresh()
        self._end = 0.0

    def _fresh(self) -> Iterator[tuple[bytes, bytes]]:
        for number, request in enumerate(itertools.cycle(self.load.requests)):
            asked = f"{self.load.prefix}{number:08x}".encode()
            yield request.replace(PLACEHOLDER, asked), asked

    def run(self) -> Measured:
        """Return what was measured; questions under way at the end are waited for and counted.

        Raises
        ------
        SystemExit : nothing was acknowledged.
        """
        begun, own = time.perf_counter(), time.process_time()
        self._end = begun + self.load.seconds
        for _ in range(self.load.connections):
            self._open()
        while self._selector.get_map():
            if time.perf_counter() > self._end + PATIENCE_SECONDS:
                self.errors["no answer"] += len(self._selector.get_map())
                break
            for key, _ in self._selector.select(timeout=1.0):
                self._serve(key.data)
        elapsed = time.perf_counter() - begun
        self._close()
        if not self.latencies:
            raise SystemExit(f"Nothing was acknowledged: {dict(self.errors)}")
        return Measured(
            seconds=elapsed,
            p50_ms=1e3 * quantile(self.latencies, 0.50),
            p99_ms=1e3 * quantile(self.latencies, 0.99),
            busy=(time.process_time() - own) / elapsed,
            errors=dict(self.errors),
            acknowledged=tuple(self.acknowledged),
        )

    def _open(self) -> None:
        try:
            connection = Connection(self.load.port)
        except OSError as error:
            self.errors[f"no connection: {type(error).__name__}"] += 1
            return
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask(*next(self._requests))

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()

    def _serve(self, connection: Connection) -> None:
        try:
            answer = connection.hear()
        except (OSError, ValueError) as error:
            self.errors[f"broken: {type(error).__name__}"] += 1
            self._drop(connection)
            if time.perf_counter() < self._end:
                self._open()
            return
        if answer is None:
            return
        now = time.perf_counter()
        if fault := fault_in(*answer, connection.asked):
            self.errors[fault] += 1
        else:
            self.latencies.append(now - connection.asked_at)
            self.acknowledged.append(connection.asked.decode())
        if now < self._end:
            connection.ask(*next(self._requests))
        else:
            self._drop(connection)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            self._drop(key.data)
        self._selector.close()


def quantile(values: Sequence[float], q: float) -> float:
    """Return the value below which a share `q` of at least one value lies, by nearest rank."""
    return sorted(values)[int(q * (len(values) - 1))]


if __name__ == "__main__":
    measured = Run(msgspec.json.decode(sys.stdin.buffer.read(), type=Load)).run()
    sys.stdout.buffer.write(msgspec.json.encode(measured))
