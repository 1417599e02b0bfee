"""Everybody through everything: what was computed before is kept, who can't be run is left out with the reason."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from decision.errors import EncoreError
from experiments.bench.kept import Kept
from experiments.bench.peer_environment import PRODUCT, Environment, PeerUnavailable


@dataclass(frozen=True, slots=True)
class Peer:
    """Who takes part: a function, `module:name`, and where it runs."""

    name: str
    label: str
    entry: str
    environment: Environment = PRODUCT


@dataclass(frozen=True, slots=True)
class Task:
    """One peer, one column of the table, one seed. `key` is everything that the result depends on."""

    peer: Peer
    column: str
    seed: int
    key: dict[str, Any]
    compute: Callable[[Path], dict[str, Any]]


@dataclass(slots=True)
class Found:
    """Results by peer and column, in the order of seeds, and why peers are missing."""

    results: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def chosen(peers: Sequence[Peer], only: Sequence[str]) -> tuple[Peer, ...]:
    """Return the peers to run. Raises `EncoreError` for a name that nobody has."""
    known = {peer.name for peer in peers}
    if strangers := set(only) - known:
        raise EncoreError(f"Expected one of {', '.join(sorted(known))}; found {', '.join(sorted(strangers))}.")
    return tuple(peer for peer in peers if not only or peer.name in only)


def sweep(tasks: Sequence[Task], kept: Kept, *, jobs: int, tell: Callable[[str], None]) -> Found:
    """Return what came of the tasks, `jobs` of them at a time."""
    found = Found()
    pythons: dict[str, Path] = {}
    lock = threading.Lock()

    def python(environment: Environment) -> Path:
        # Installed when the first result is missing, and once.
        with lock:
            if environment.name not in pythons:
                pythons[environment.name] = environment.python(tell)
            return pythons[environment.name]

    def done(task: Task) -> dict[str, Any] | None:
        if task.peer.name in found.missing:
            return None
        try:
            return kept.get(task.key, lambda: task.compute(python(task.peer.environment)))
        except PeerUnavailable as reason:
            found.missing[task.peer.name] = str(reason)
            return None

    by_place: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    with (
        ThreadPoolExecutor(jobs) as pool,
        click.progressbar(pool.map(done, tasks), length=len(tasks), label="running", file=sys.stderr) as results,
    ):
        for task, result in zip(tasks, results, strict=True):
            if result is not None:
                by_place.setdefault((task.peer.name, task.column), {})[task.seed] = result
    found.results = {
        place: [of_seed[seed] for seed in sorted(of_seed)]
        for place, of_seed in by_place.items()
        if place[0] not in found.missing
    }
    return found
