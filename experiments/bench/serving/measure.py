"""One server under load for some seconds: what it answered, how fast, and what it cost."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from decision.errors import EncoreError
from experiments.bench.serving.http_client import PATIENCE_SECONDS, silent
from experiments.bench.serving.load import Load, Measured
from experiments.bench.serving.report import Figures
from experiments.bench.serving.servers import Server

WARM_UP_SECONDS = 1.0
# Measures for so many seconds.
Measure = Callable[[float], Figures]


class Meter:
    """Puts load on a server and remembers everything that came back."""

    def __init__(self, server: Server, requests: Sequence[bytes], *, connections: int, receipts: bool = True) -> None:
        """Take the requests that the server is asked over and over; see `Load` for `receipts`."""
        self.measured: list[Measured] = []
        self._server = server
        self._requests = tuple(requests)
        self._connections = connections
        self._receipts = receipts

    def closed(self, seconds: float) -> Figures:
        """Return what the server does under as much load as the connections bring."""
        return self._measure(self._load(seconds))

    def open(self, seconds: float, *, rate: float, idle: int = 0) -> Figures:
        """Return what it does when asked so many times a second, beside `idle` connections that say nothing."""
        with silent(self._server.port, count=idle):
            return self._measure(self._load(seconds, rate=rate))

    def _load(self, seconds: float, rate: float | None = None) -> Load:
        return Load(
            port=self._server.port,
            seconds=seconds,
            connections=self._connections,
            prefix=_prefix(),
            requests=self._requests,
            rate=rate,
            receipts=self._receipts,
        )

    def _measure(self, load: Load) -> Figures:
        before = self._server.cpu_seconds()
        measured = _sent(load)
        cpu = self._server.cpu_seconds() - before
        self.measured.append(measured)
        answers = len(measured.acknowledged)
        return Figures(
            per_second=answers / measured.seconds,
            p50_ms=measured.p50_ms,
            p99_ms=measured.p99_ms,
            max_ms=measured.max_ms,
            cpu_us=1e6 * cpu / answers,
        )


def interleaved(
    entries: Mapping[str, Measure], *, rounds: int, seconds: float, tell: Callable[[str], None]
) -> dict[str, tuple[Figures, ...]]:
    """Return what each entry does in every round, after all are warm.

    Every other round goes backwards, so that a machine that becomes slower or faster favours nobody.
    """
    found: dict[str, list[Figures]] = {name: [] for name in entries}
    for measure in entries.values():
        measure(min(WARM_UP_SECONDS, seconds))
    for number in range(rounds):
        tell(f"  round {number + 1} of {rounds}: {' | '.join(entries)}")
        for name in list(entries) if number % 2 == 0 else reversed(list(entries)):
            found[name].append(entries[name](seconds))
    return {name: tuple(figures) for name, figures in found.items()}


def _prefix() -> str:
    """Return 24 fresh characters that sort by time, as the ids that the service makes itself."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(6)}"


def _sent(load: Load) -> Measured:
    timeout = load.seconds + 3.0 * PATIENCE_SECONDS
    command = [sys.executable, "-m", "experiments.bench.serving.load"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(load), capture_output=True, check=True, timeout=timeout
        )
    except subprocess.CalledProcessError as error:
        raise EncoreError(f"Expected answers, found none. {error.stderr.decode(errors='replace')}") from None
    except subprocess.TimeoutExpired:
        raise EncoreError(f"Expected the load to end within {timeout:g} s, it did not.") from None
    return msgspec.json.decode(done.stdout, type=Measured)
