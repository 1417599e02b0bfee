"""What a server needs: memory, time until it is ready, and room on disk where only the online part is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from decision.errors import EncoreError
from experiments.bench.peer_environment import CHECKOUT
from experiments.bench.serving.bench import Bench, checked
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


def footprint(bench: Bench, *, install: bool) -> Findings:
    """Return memory after some load, the time of several starts, and with `install` the size of a fresh environment."""
    skipped: list[str] = ["the size of the install. It was not asked for."] * (not install)
    claims: list[Claim] = []
    with bench.home() as (home, key), tempfile.TemporaryDirectory(dir=bench.folder) as temporary, ExitStack() as kept:
        python = Path(sys.executable)
        if install:
            try:
                python, added = _online_only(Path(temporary), bench)
                claims.append(Claim.of(SECTION, "online install", [added / MB], unit="MB", bar=INSTALL_MB))
            except InstallUnavailable as reason:
                skipped.append(f"the size of the install. {reason}")
        launch = encore(home, bench.size, python=str(python))
        ready = []
        for _ in range(STARTS):
            with running(launch, logs=bench.folder) as server:
                ready.append(server.ready_after)
        server = kept.enter_context(running(launch, logs=bench.folder))
        meter = Meter(server, questions(key), connections=bench.settings.connections)
        meter.closed(bench.settings.seconds)
        workers = server.memory()[: bench.settings.workers]
        found = checked([meter], home=home)
    claims.append(Claim.of(SECTION, "start until ready", ready, unit="s", bar=READY_SECONDS))
    for name in ("pss", "uss"):
        held = [getattr(memory, name) / MB for memory in workers]
        claims += [Claim.of(SECTION, f"memory of a worker, {name.upper()}", held, unit="MB")] * bool(held)
    return msgspec.structs.replace(found, claims=tuple(claims), skipped=tuple(skipped))


def _online_only(folder: Path, bench: Bench) -> tuple[Path, int]:
    """Return the Python of a fresh environment in which Encore is installed without extras, and the bytes it added."""
    bench.tell("  installing Encore without its offline extra into a fresh environment")
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        path = CHECKOUT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / name)
    venv.create(folder / "online", with_pip=True)
    python, empty = folder / "online" / "bin" / "python", _bytes(folder / "online")
    command: Sequence[str] = [str(python), "-m", "pip", "install", "--quiet", str(source)]
    without = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command, env=without, capture_output=True, text=True, check=False, timeout=INSTALL_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise InstallUnavailable(f"pip took longer than {INSTALL_PATIENCE_SECONDS} s.") from None
    if done.returncode != 0:
        raise InstallUnavailable(f"pip said: {done.stderr.strip().splitlines()[-1][:200]}")
    return python, _bytes(folder / "online") - empty


def _bytes(folder: Path) -> int:
    """Return the room that a folder takes on disk."""
    return sum(512 * path.lstat().st_blocks for path in folder.rglob("*") if not path.is_symlink())
