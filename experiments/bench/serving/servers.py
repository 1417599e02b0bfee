"""Servers in sessions of their own: started, waited for, metered, and always ended."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from decision.errors import EncoreError
from decision.wiring import Home
from experiments.bench.peer_environment import CHECKOUT
from experiments.bench.serving.http_client import HOST

READY_SECONDS = 60.0
STOP_SECONDS = 5.0
LOOK_SECONDS = 0.02
# Fields of /proc/<pid>/stat after the name, which is in brackets and may hold anything; see proc(5).
PARENT, USER_TICKS, SYSTEM_TICKS, STARTED = 1, 11, 12, 19


@dataclass(frozen=True, slots=True)
class Size:
    """How many processes a server has, and how many threads each."""

    workers: int
    threads: int

    @property
    def options(self) -> tuple[str, ...]:
        """Return it as options of a command."""
        return ("--workers", str(self.workers), "--threads", str(self.threads))


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server is started: `ready` is the address that answers 200 when it is.

    `environment` is added to this process's. `{port}`, `{port+1}` and `{port+2}` in either are replaced.
    """

    name: str
    command: tuple[str, ...]
    ready: str = "/readyz"
    environment: Mapping[str, str] = field(default_factory=dict)


def module(name: str, *arguments: str, python: str = sys.executable) -> tuple[str, ...]:
    """Return the command that runs a module as a server."""
    return (python, "-m", name, *arguments, "--port", "{port}")


def encore(home: Home, size: Size, *, name: str = "decision", python: str = sys.executable) -> Launch:
    """Return how `encore serve` is started for a home.

    A closed loop keeps the server full: how long each waits is what is measured, and none may be let off.
    """
    options = ("serve", *size.options, "--deadline", "10000")
    return Launch(name, module("decision.cli", "--home", str(home.root), *options, python=python))


def noop(size: Size) -> Launch:
    """Return how the endpoint is started that decides nothing."""
    return Launch("noop", module("experiments.bench.serving.noop", *size.options))


@dataclass(frozen=True, slots=True)
class Memory:
    """What a process holds, in bytes: `pss` with its share of what it shares with others, `uss` what only it holds."""

    pss: int
    uss: int


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `pid` is that of its first process, `ready_after` how many seconds it took to be ready."""

    port: int
    pid: int
    ready_after: float

    def cpu_seconds(self) -> float:
        """Return the CPU time, user and system, that its processes have used; nan where there is no /proc."""
        ticks = [
            int(fields[USER_TICKS]) + int(fields[SYSTEM_TICKS]) for pid in self.processes() if (fields := _fields(pid))
        ]
        return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else float("nan")

    def processes(self) -> list[int]:
        """Return its first process and all that come from it; none where there is no /proc."""
        parents = {
            int(path.name): int(fields[PARENT])
            for path in Path("/proc").glob("[0-9]*")
            if (fields := _fields(int(path.name)))
        }
        family = {self.pid} & parents.keys()
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return sorted(family)

    def memory(self) -> list[Memory]:
        """Return what each of its processes holds, the largest first."""
        found = [memory for pid in self.processes() if (memory := _memory(pid))]
        return sorted(found, key=lambda memory: -memory.pss)


def _fields(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _memory(pid: int) -> Memory | None:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest}
    return Memory(pss=1024 * kib["Pss"], uss=1024 * (kib["Private_Clean"] + kib["Private_Dirty"]))


@contextmanager
def running(launch: Launch, *, logs: Path) -> Iterator[Server]:
    """Run a server until the block ends; what it says goes to a file of its name in `logs`.

    Raises
    ------
    EncoreError : it is not ready in time.
    """
    port, log = _free_port(), logs / f"{launch.name}.log"
    with log.open("wb") as output:
        begun = time.monotonic()
        process = subprocess.Popen(
            [_at(part, port) for part in launch.command],
            cwd=CHECKOUT,
            env={**os.environ, **{name: _at(value, port) for name, value in launch.environment.items()}},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        server = Server(port, process.pid, 0.0)
        try:
            _wait_until_ready(process, launch, port=port, log=log)
            server = Server(port, process.pid, time.monotonic() - begun)
            yield server
        finally:
            _stop(process, server)


def _at(text: str, port: int) -> str:
    for further in range(3):
        text = text.replace(f"{{port+{further}}}" if further else "{port}", str(port + further))
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], launch: Launch, *, port: int, log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if _status(port, launch.ready) == http.client.OK:
            return
        time.sleep(LOOK_SECONDS)
    raise EncoreError(
        f"Expected {launch.name} on {HOST}:{port} within {READY_SECONDS:g} s, found no server.",
        hint=f"It said: {log.read_text(encoding='utf-8', errors='replace')[-2000:] or 'nothing'}",
    )


def _status(port: int, address: str) -> int | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=1.0)
    try:
        connection.request("GET", address)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes], server: Server) -> None:
    family = {pid: _started(pid) for pid in server.processes()}
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    # What is left of it, above all workers whose parent has died, ends now.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid, started in family.items():
        if pid != process.pid and started is not None and _started(pid) == started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)


def _started(pid: int) -> str | None:
    """Return when a process was started, so that another one of the same number is not taken for it."""
    fields = _fields(pid)
    return fields[STARTED] if fields else None
