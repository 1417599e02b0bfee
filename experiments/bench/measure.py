"""One server under load for some seconds: what it answered, how fast, and what it cost."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time

import msgspec

from decision.errors import EncoreError
from experiments.bench.load import PATIENCE_SECONDS, Load, Measured
from experiments.bench.report import Figures
from experiments.bench.servers import Server
from experiments.bench.world import questions


class Meter:
    """Puts load on servers and remembers everything that came back."""

    def __init__(self, *, connections: int, key: str) -> None:
        """Prepare the requests with their API key once, for every measurement."""
        self.connections = connections
        self.measured: list[Measured] = []
        self._requests = questions(key)

    def measure(self, server: Server, *, seconds: float) -> Figures:
        """Return what a server does under load for so long. Raises `EncoreError` when it acknowledges nothing."""
        before = server.cpu_seconds()
        measured = _sent(Load(server.port, seconds, self.connections, _prefix(), self._requests))
        cpu = server.cpu_seconds() - before
        self.measured.append(measured)
        answers = len(measured.acknowledged)
        return Figures(
            per_second=answers / measured.seconds,
            p50_ms=measured.p50_ms,
            p99_ms=measured.p99_ms,
            cpu_us=1e6 * cpu / answers,
        )


def _prefix() -> str:
    """Return 24 fresh characters that sort by time, as the ids that the service makes itself."""
    return f"{int(time.time() * 1000):012x}{secrets.token_hex(6)}"


def _sent(load: Load) -> Measured:
    timeout = load.seconds + 3.0 * PATIENCE_SECONDS
    command = [sys.executable, "-m", "experiments.bench.load"]
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(load), capture_output=True, check=True, timeout=timeout
        )
    except subprocess.CalledProcessError as error:
        raise EncoreError(f"Expected answers, found none. {error.stderr.decode(errors='replace')}") from None
    except subprocess.TimeoutExpired:
        raise EncoreError(f"Expected the load to end within {timeout:g} s, it did not.") from None
    return msgspec.json.decode(done.stdout, type=Measured)
