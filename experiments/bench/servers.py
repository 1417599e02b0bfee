"""Servers in process groups of their own: started, waited for, metered, and always ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from decision.errors import EncoreError
from experiments.bench.load import HOST

READY_SECONDS = 30.0
STOP_SECONDS = 5.0
# Fields of /proc/<pid>/stat after the name, which is in brackets and may hold anything; see proc(5).
GROUP, USER_TICKS, SYSTEM_TICKS = 2, 11, 12


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `group` is the process group that its workers share."""

    port: int
    group: int

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that its processes have used; nan where there is no /proc."""
        ticks = [
            int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS])
            for path in Path("/proc").glob("[0-9]*/stat")
            if (fields := _fields(path)) and int(fields[GROUP]) == self.group
        ]
        return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else float("nan")


def _fields(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


@contextmanager
def running(module: str, *arguments: str, log: Path) -> Iterator[Server]:
    """Run `python -m module … --port P` until the block ends; the server's output goes to `log`.

    Raises
    ------
    EncoreError : it does not answer `/readyz` in time.
    """
    port = _free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, port, log)
            yield Server(port, process.pid)
        finally:
            _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if _status(port) == http.client.OK:
            return
        time.sleep(0.05)
    raise EncoreError(
        f"Expected a server on {HOST}:{port} within {READY_SECONDS:g} s, found none.",
        hint=f"It said: {log.read_text(encoding='utf-8', errors='replace')[-2000:] or 'nothing'}",
    )


def _status(port: int) -> int | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=1.0)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # What is left of the group, above all workers whose parent has died, ends now.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
