"""A shop that serves for real: server with its workers, learner, and tills that ask all the time."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from decision.errors import EncoreError
from decision.flow.keys import create_key
from decision.stages.keys import Role
from decision.wiring import Home, system_user, utc_now
from experiments.bench.serving.world import write_home
from experiments.faults.shim import Shim, built
from experiments.faults.tills import Till, Tills

READY_SECONDS = 40.0
WORKERS = 2
IN_A_ROW = 6
# Scarce, so that it runs out under load, and everything else takes from a budget too.
BUDGETS = """
[budgets.scarce]
offer = "discount_10"
period = "programme"
count = 40
"""


@dataclass
class World:
    """What faults are injected into."""

    home: Home
    key: str
    port: int
    shim: Shim | None
    random: random.Random
    deadline_ms: float
    till: Till
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> None:
        """Start an `encore` command in a session of its own."""
        command = [sys.executable, "-m", "decision.cli", "--home", str(self.home.root), *arguments]
        environment = dict(os.environ) | (self.shim.environment if self.shim else {})
        with (self.home.root / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def serve(self) -> None:
        """Start the server and wait until it answers. Raises `EncoreError` when it does not."""
        options = ("--port", str(self.port), "--workers", str(WORKERS), "--deadline", str(self.deadline_ms))
        self.start("serve", "serve", *options)
        self.until(self._answers, what="an answer of the server")

    def learn(self) -> None:
        """Start the learner, which works all the time."""
        self.start("learn", "learn", "--every", "0.2")

    def kill(self, name: str) -> None:
        """Kill a process and its children."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def workers(self) -> list[int]:
        """Return the processes that answer."""
        return [
            int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _is_worker(path, self._server.pid)
        ]

    @property
    def _server(self) -> subprocess.Popen[bytes]:
        return self.running["serve"]

    def _answers(self) -> bool:
        if self._server.poll() is not None:
            raise EncoreError("The server has ended.", hint=f"See {self.home.root / 'serve.log'}.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2.0):
                return len(self.workers()) == WORKERS
        except (urllib.error.URLError, OSError):
            return False

    def until(self, true: Callable[[], bool], *, what: str) -> None:
        """Wait until something is true. Raises `EncoreError` when it does not become so."""
        end = time.monotonic() + READY_SECONDS
        while not true():
            if time.monotonic() > end:
                raise EncoreError(f"Expected {what} within {READY_SECONDS:g} s, found none.")
            time.sleep(0.05)

    def recover(self) -> None:
        """Wait until all workers are there and answer."""
        self.until(self._answers, what="the server to come back")

    def decide_again(self) -> None:
        """Wait until decisions are made as before, by whichever worker."""
        self.until(lambda: all(self._makes() for _ in range(IN_A_ROW)), what="decisions to be made again")

    def _makes(self) -> bool:
        # A connection of its own, so that any worker may answer.
        self.till.close()
        name = f"again-{uuid4().hex}"
        return self.till.ask(name, name).kind == "made"


def _is_worker(stat: Path, parent: int) -> bool:
    try:
        state, ppid = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[:2]
        command = stat.with_name("cmdline").read_bytes()
    except OSError:
        return False
    return int(ppid) == parent and state != "Z" and b"spawn_main" in command


@contextmanager
def world(folder: Path, *, seed: int, deadline_ms: float) -> Iterator[World]:
    """Set up a shop in `folder` and serve it until the block ends."""
    home = write_home(folder / "home")
    with home.programme_path.open("a", encoding="utf-8") as file:
        file.write(BUDGETS)
    with closing(home.ledger()) as ledger:
        key = create_key("faults", role=Role.CHECKOUT, ledger=ledger, actor=system_user(), now=utc_now())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    till = Till(port, key, name="one-more", seed=seed)
    made = World(home, key, port, built(folder), random.Random(seed), deadline_ms, till)
    try:
        made.serve()
        made.learn()
        yield made
    finally:
        till.close()
        for name in list(made.running):
            made.kill(name)


def tills(of: World, *, n: int, seed: int) -> Tills:
    """Return tills that ask the world's server."""
    return Tills(of.port, of.key, n=n, seed=seed)
