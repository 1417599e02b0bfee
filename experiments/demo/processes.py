"""Starts the demo's processes, waits until they answer, and stops all of them cleanly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from decision.errors import EncoreError

STOP_SECONDS = 10.0


class Processes:
    """Child processes, each in a group of its own with its log in a file; leaving the block stops them."""

    def __init__(self, logs: Path) -> None:
        """`logs` is the folder of the log files."""
        self.logs = logs
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a process; a Ctrl-C in the terminal reaches this one only, which then stops the others."""
        with (self.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
            )

    def wait_for(self, name: str, url: str, *, seconds: float) -> None:
        """Wait until `url` answers 200. Raises `EncoreError` when the process ends or the time is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check(name)
            try:
                with urllib.request.urlopen(url, timeout=2.0) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise EncoreError(f"Expected {name} to answer at {url} within {seconds:.0f} s.", hint=self._see(name))

    def check(self, name: str) -> None:
        """Raise `EncoreError` when a process has ended."""
        code = self.running[name].poll()
        if code is not None:
            raise EncoreError(f"{name} has ended with code {code}.", hint=self._see(name))

    def ended(self, name: str) -> bool:
        """Return whether a process that has an end has come to it, well or not."""
        return self.running[name].poll() is not None

    def _see(self, name: str) -> str:
        return f"See {self.logs / f'{name}.log'}."

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.running.values():
            _signal(process, signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(end - time.monotonic(), 0.1))
            # Also when the leader has ended by itself: a worker of its group may have stayed.
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return


def free_port(wanted: int) -> int:
    """Return the first port from `wanted` on that nobody listens on."""
    for port in range(wanted, wanted + 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise EncoreError(f"Expected a free port from {wanted} on, found none.")
