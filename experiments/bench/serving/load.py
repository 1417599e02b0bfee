"""The load: keep-alive connections in a process of their own that imports next to nothing.

A closed loop asks, waits for the whole answer, and asks again, as a till does: while the server stalls it is asked
less, so the p99 is that of so many waiting tills. An open loop asks at a fixed rate whatever comes back, and counts
each latency from the moment the question was due: a stall delays every question that falls into it, and all of them
count. `python -m experiments.bench.serving.load` reads a `Load` as JSON and writes what it `Measured`.
"""

from __future__ import annotations

import itertools
import selectors
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence

import msgspec

from experiments.bench.serving.http_client import PATIENCE_SECONDS, Connection

PLACEHOLDER = b"@" * 32
OK = 200


class Load(msgspec.Struct, frozen=True):
    """What to send. A request's id is `prefix` [24 characters] and a number; it replaces every `PLACEHOLDER`.

    `rate` is how many questions a second are due, None for a closed loop. With `receipts`, only an answer that says
    that the decision asked for was recorded is a good one; else any with status 200 is.
    """

    port: int
    seconds: float
    connections: int
    prefix: str
    requests: tuple[bytes, ...]
    rate: float | None = None
    receipts: bool = True


class Measured(msgspec.Struct, frozen=True):
    """What came back; latencies are those of the `acknowledged` ids, which were answered well.

    `busy` is the share of its time that the client worked: near 1, it measures itself and not the server.
    """

    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    busy: float
    errors: dict[str, int]
    acknowledged: tuple[str, ...]


def fault_in(status: int, body: bytes, asked: bytes) -> str | None:
    """Return what is wrong with an answer, None when it acknowledges the decision that was asked for."""
    if status != OK:
        return f"status {status}"
    if b'"recorded":true' not in body:
        return "not recorded"
    return None if asked in body else "answer to another question"


class Run:
    """One load from start to end."""

    def __init__(self, load: Load) -> None:
        """Take what to send; `run` sends it."""
        self.load = load
        self.latencies: list[float] = []
        self.acknowledged: list[str] = []
        self.errors: Counter[str] = Counter()
        # epoll wakes to the millisecond, select in time.
        self._selector = selectors.DefaultSelector() if load.rate is None else selectors.SelectSelector()
        self._free: deque[Connection] = deque()
        self._requests = self._fresh()
        self._begun = 0.0
        self._sent = 0

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
        self._begun, own = time.perf_counter(), time.process_time()
        for _ in range(self.load.connections):
            self._open()
        self._until(self._begun + self.load.seconds)
        elapsed = time.perf_counter() - self._begun
        self._close()
        if not self.latencies:
            raise SystemExit(f"Nothing was acknowledged: {dict(self.errors)}")
        return Measured(
            seconds=elapsed,
            p50_ms=1e3 * quantile(self.latencies, 0.50),
            p99_ms=1e3 * quantile(self.latencies, 0.99),
            max_ms=1e3 * max(self.latencies),
            busy=(time.process_time() - own) / elapsed,
            errors=dict(self.errors),
            acknowledged=tuple(self.acknowledged),
        )

    def _until(self, end: float) -> None:
        """Ask what is due before `end`, and wait for what is still under way."""
        while True:
            now = time.perf_counter()
            if now > end + PATIENCE_SECONDS:
                self.errors["no answer"] += len(self._selector.get_map()) - len(self._free)
                return
            due = self._due(now)
            while self._free and due <= now and due < end:
                self._ask(self._free.popleft(), since=due)
                due = self._due(now)
            if len(self._free) == len(self._selector.get_map()) and due >= end:
                return
            if not self._selector.get_map():
                # Every connection has failed: what is due can't be asked.
                self._open()
            for key, _ in self._selector.select(timeout=self._pause(due, now, end)):
                self._serve(key.data)

    def _due(self, now: float) -> float:
        """Return when the next question is due: in a closed loop, whenever a connection is free."""
        return now if self.load.rate is None else self._begun + self._sent / self.load.rate

    def _pause(self, due: float, now: float, end: float) -> float:
        """Return for how long nothing has to be sent."""
        return max(due - now, 0.0) if self.load.rate is not None and self._free and due < end else 1.0

    def _open(self) -> None:
        try:
            connection = Connection(self.load.port)
        except OSError as error:
            self.errors[f"no connection: {type(error).__name__}"] += 1
            # A server that refuses is not asked faster than that.
            time.sleep(0.01)
            return
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._free.append(connection)

    def _ask(self, connection: Connection, *, since: float) -> None:
        self._sent += 1
        try:
            connection.ask(*next(self._requests), since=since)
        except OSError as error:
            self._broken(connection, error)

    def _broken(self, connection: Connection, error: Exception) -> None:
        self.errors[f"broken: {type(error).__name__}"] += 1
        self._drop(connection)
        self._open()

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        if connection in self._free:
            self._free.remove(connection)

    def _serve(self, connection: Connection) -> None:
        try:
            answer = connection.hear()
        except (OSError, ValueError) as error:
            self._broken(connection, error)
            return
        if answer is None:
            return
        now = time.perf_counter()
        status, body = answer
        fault = fault_in(status, body, connection.asked) if self.load.receipts else _unlike_ok(status)
        if fault:
            self.errors[fault] += 1
        else:
            self.latencies.append(now - connection.since)
            self.acknowledged.append(connection.asked.decode())
        self._free.append(connection)

    def _close(self) -> None:
        for key in list(self._selector.get_map().values()):
            self._drop(key.data)
        self._selector.close()


def _unlike_ok(status: int) -> str | None:
    return None if status == OK else f"status {status}"


def quantile(values: Sequence[float], q: float) -> float:
    """Return the value below which a share `q` of at least one value lies, by nearest rank."""
    return sorted(values)[int(q * (len(values) - 1))]


if __name__ == "__main__":
    measured = Run(msgspec.json.decode(sys.stdin.buffer.read(), type=Load)).run()
    sys.stdout.buffer.write(msgspec.json.encode(measured))
