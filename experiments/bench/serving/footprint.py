"""What a server needs: memory, time until it is ready, and room on disk where only the online part is installed.

A checkout node without extras serves a programme without CEL rules: of it the bars are asked. The extra `rules` is
measured beside it, with the benchmark's whole programme.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from decision.errors import EncoreError
from experiments.bench.peer_environment import CHECKOUT
from experiments.bench.serving.bench import Bench, checked, together
from experiments.bench.serving.measure import Meter
from experiments.bench.serving.report import Bar, Claim, Findings
from experiments.bench.serving.servers import encore, running
from experiments.bench.serving.world import questions

SECTION = "footprint"
MB = 1e6
STARTS = 3
READY_SECONDS = Bar(at_most=2.0)
INSTALL_MB = Bar(at_most=150.0)
INSTALL_PATIENCE_SECONDS = 600
# What pip needs of the checkout to install Encore, copied so that nothing is built inside it.
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "decision", "experiments")


class InstallUnavailable(EncoreError):
    """The online part can't be installed here."""


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment in which Encore is installed; `rules` says whether it can serve a programme that has any.

    `asked` says whether the bars are for it, `megabytes` what it takes on disk, where that was measured.
    """

    name: str
    python: Path
    rules: bool
    asked: bool = True
    megabytes: float | None = None


def footprint(bench: Bench, *, install: bool) -> Findings:
    """Return memory after some load, the time of several starts, and with `install` the size of fresh environments."""
    skipped: list[str] = ["the size of the install. It was not asked for."] * (not install)
    claims: list[Claim] = []
    found: list[Findings] = []
    with tempfile.TemporaryDirectory(dir=bench.folder) as temporary:
        installs = [Installed("this environment", Path(sys.executable), rules=True)]
        if install:
            try:
                installs = _online_only(Path(temporary), bench)
            except InstallUnavailable as reason:
                skipped.append(f"the size of the install. {reason}")
        for each in installs:
            of_it, more = _served(bench, each)
            claims += of_it
            found.append(more)
    return msgspec.structs.replace(together(found), claims=tuple(claims), skipped=tuple(skipped))


def _served(bench: Bench, installed: Installed) -> tuple[list[Claim], Findings]:
    """Return what an environment measures while it serves a programme that it can serve."""
    with bench.home(rules=installed.rules) as (home, key), ExitStack() as kept:
        launch = encore(home, bench.size, python=str(installed.python))
        ready = []
        for _ in range(STARTS - 1):
            with running(launch, logs=bench.folder) as server:
                ready.append(server.ready_after)
        # The last one stays, to be put under load.
        server = kept.enter_context(running(launch, logs=bench.folder))
        ready.append(server.ready_after)
        meter = Meter(server, questions(key), connections=bench.settings.connections)
        meter.closed(bench.settings.seconds)
        workers = server.memory()[: bench.settings.workers]
        found = checked([meter], home=home)
    name, claims = installed.name, []
    size_bar, ready_bar = (INSTALL_MB, READY_SECONDS) if installed.asked else (None, None)
    if installed.megabytes is not None:
        claims.append(Claim.of(SECTION, f"{name}, size", [installed.megabytes], unit="MB", bar=size_bar))
    claims.append(Claim.of(SECTION, f"{name}, start until ready", ready, unit="s", bar=ready_bar))
    for kind in ("pss", "uss"):
        held = [getattr(memory, kind) / MB for memory in workers]
        claims += [Claim.of(SECTION, f"{name}, memory of a worker, {kind.upper()}", held, unit="MB")] * bool(held)
    return claims, found


def _online_only(folder: Path, bench: Bench) -> list[Installed]:
    """Return a fresh environment with Encore in it: first without extras, and a second one with `rules`.

    Raises
    ------
    InstallUnavailable : pip failed, or took too long.
    """
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        path = CHECKOUT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / name)
    return [
        _fresh("online install", folder / "online", str(source), bench),
        _fresh("online install with [rules]", folder / "rules", f"{source}[rules]", bench),
    ]


def _fresh(name: str, folder: Path, what: str, bench: Bench) -> Installed:
    bench.tell(f"  {name}: into a fresh environment")
    venv.create(folder, with_pip=True)
    python, empty = folder / "bin" / "python", _bytes(folder)
    command: Sequence[str] = [str(python), "-m", "pip", "install", "--quiet", what]
    without = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command, env=without, capture_output=True, text=True, check=False, timeout=INSTALL_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InstallUnavailable(f"pip took longer than {INSTALL_PATIENCE_SECONDS} s.") from None
    if done.returncode != 0:
        raise InstallUnavailable(f"pip said: {done.stderr.strip().splitlines()[-1][:200]}")
    rules = what.endswith("[rules]")
    return Installed(name, python, rules, asked=not rules, megabytes=(_bytes(folder) - empty) / MB)


def _bytes(folder: Path) -> int:
    """Return the room that a folder takes on disk."""
    return sum(512 * path.lstat().st_blocks for path in folder.rglob("*") if not path.is_symlink())
