"""The faults: each is a block in which it lasts, and is over when the block ends."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from uuid import uuid4

import numpy as np

from decision.flow.promotion import rollback
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import utc_now
from experiments.bench.serving.world import promoted_bundle
from experiments.faults.world import World

HISTORY = 500_000
ALL = 1_000
LOOKED_UP = "c-with-a-long-history"


@contextmanager
def worker_killed(world: World) -> Iterator[None]:
    """Kill -9 of one worker."""
    _kill(world, 1)
    yield


@contextmanager
def all_workers_killed(world: World) -> Iterator[None]:
    """Kill -9 of all workers."""
    _kill(world, ALL)
    yield


def _kill(world: World, n: int) -> None:
    alive = world.workers()
    for pid in world.random.sample(alive, min(n, len(alive))):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def server_killed(world: World) -> Iterator[None]:
    """Kill -9 of the whole server, which is then started again."""
    world.kill("serve")
    yield
    world.serve()


@contextmanager
def server_stopped(world: World) -> Iterator[None]:
    """SIGTERM in the middle of load, and a new start."""
    process = world.running.pop("serve")
    process.terminate()
    process.wait(30.0)
    yield
    world.serve()


@contextmanager
def learner_killed(world: World) -> Iterator[None]:
    """Kill -9 of the learner."""
    world.kill("learn")
    yield
    world.learn()


@contextmanager
def disk_full(world: World) -> Iterator[None]:
    """No worker can write a byte past the first: every file has reached its greatest size."""
    pids = world.workers()
    for pid in pids:
        _bound_files(pid, 1)
    yield
    for pid in pids:
        _bound_files(pid, resource.RLIM_INFINITY)


def _bound_files(pid: int, size: int) -> None:
    with suppress(ProcessLookupError):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


@contextmanager
def ledger_locked(world: World) -> Iterator[None]:
    """Another program writes to the ledger and does not come to an end."""
    with closing(sqlite3.connect(world.home.ledger_path, isolation_level=None, timeout=30.0)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        yield
        shell.execute("ROLLBACK")


@contextmanager
def writer_stopped(world: World) -> Iterator[None]:
    """Another process stops in the middle of its turn to write."""
    descriptor = os.open(world.home.root / "ledger.db.lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def bundle_corrupt(world: World) -> Iterator[None]:
    """A policy is promoted whose file was altered afterwards: the last good one must stay."""
    with closing(SqliteLedger(world.home.ledger_path)) as ledger:
        bundle = promoted_bundle(world.home, ledger, seed=world.random.randrange(2**31))
        path = world.home.bundles.root / bundle.version / "arrays.npz"
        whole = bytearray(path.read_bytes())
        whole[int(np.clip(world.random.randrange(len(whole)), 100, len(whole) - 100))] ^= 0xFF
        path.write_bytes(whole)
        yield
        rollback(bundles=world.home.bundles, ledger=ledger, reason="corrupt", now=utc_now())


@contextmanager
def bundle_gone(world: World) -> Iterator[None]:
    """The bundles are gone, and workers that start have no last good one."""
    away = world.home.root / "away"
    world.home.bundles.root.rename(away)
    _kill(world, ALL)
    world.recover()
    yield
    away.rename(world.home.bundles.root)


@contextmanager
def bundle_unreadable(world: World) -> Iterator[None]:
    """The file of the bundle can't be read, and workers that start have no last good one."""
    for path in world.home.bundles.root.glob("*/arrays.npz"):
        path.rename(path.with_suffix(".away"))
        path.mkdir()
    _kill(world, ALL)
    world.recover()
    yield
    for path in world.home.bundles.root.glob("*/arrays.npz"):
        path.rmdir()
        path.with_suffix(".away").rename(path)


@contextmanager
def disk_slow(world: World) -> Iterator[None]:
    """Each sync takes 300 ms longer."""
    assert world.shim is not None
    world.shim.tell(sync_seconds=0.3)
    yield
    world.shim.tell()


@contextmanager
def clock_jumps(world: World) -> Iterator[None]:
    """The clock goes back an hour, forth a day, and back again."""
    assert world.shim is not None
    for seconds in (-3_600, 86_400):
        world.shim.tell(clock_seconds=seconds)
        time.sleep(0.3)
    yield
    world.shim.tell()


@contextmanager
def lookup_slow(world: World) -> Iterator[None]:
    """A customer is asked about who has had half a million treatments this month."""
    with closing(sqlite3.connect(world.home.ledger_path, timeout=30.0)) as db:
        (n,) = db.execute("SELECT COUNT(*) FROM decisions WHERE customer_id = ?", [LOOKED_UP]).fetchone()
        if not n:
            write_history(db)
    for _ in range(5):
        world.till.ask(f"long-{uuid4().hex}", LOOKED_UP)
    yield


def write_history(db: sqlite3.Connection, n: int = HISTORY) -> None:
    """Give one customer `n` treatments, copies of one that was given."""
    # In pieces, so that the others have their turns. Nobody reads more of them than when they were.
    columns = [row[1] for row in db.execute("PRAGMA table_info(decisions)") if row[1] != "seq"]
    own = {"decision_id": "'long-' || n", "customer_id": ":customer", "body": "''"}
    for first in range(0, n, 10_000):
        db.execute(
            "WITH RECURSIVE more (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM more WHERE n < :first + 9999) "
            f"INSERT INTO decisions ({', '.join(columns)}) SELECT {', '.join(own.get(c, c) for c in columns)} "
            "FROM more, (SELECT * FROM decisions WHERE action_id != 'control' ORDER BY seq LIMIT 1)",
            {"first": first, "customer": LOOKED_UP},
        )
        db.commit()


Fault = Callable[[World], AbstractContextManager[None]]
FAULTS: Mapping[str, Fault] = {
    "a worker killed": worker_killed,
    "all workers killed": all_workers_killed,
    "the server killed": server_killed,
    "the server told to stop": server_stopped,
    "the learner killed": learner_killed,
    "disk full": disk_full,
    "disk slow (sync + 300 ms)": disk_slow,
    "ledger locked by another program": ledger_locked,
    "a writer stopped in its turn": writer_stopped,
    "lookup slow (500,000 treatments)": lookup_slow,
    "clock jumps": clock_jumps,
    "bundle corrupt": bundle_corrupt,
    "bundle unreadable": bundle_unreadable,
    "bundle gone": bundle_gone,
}
NEED_SHIM = frozenset({disk_slow, clock_jumps})
