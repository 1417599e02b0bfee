"""A slower disk: a shim before libc that delays every fsync, compiled where there is a C compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from decision.errors import EncoreError
from experiments.bench.peer_environment import CHECKOUT

SOURCE = Path(__file__).with_suffix(".c")
_MEASURE = (
    "import sys; from pathlib import Path; from experiments.bench.serving.machine import fsync_seconds; "
    "print(fsync_seconds(Path(sys.argv[1])))"
)


class SlowDiskUnavailable(EncoreError):
    """fsync can't be delayed here."""


def build(folder: Path) -> Path:
    """Return the shim, compiled into `folder`.

    Raises
    ------
    SlowDiskUnavailable : this is not Linux, or nothing here compiles C.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
    if sys.platform != "linux" or compiler is None:
        raise SlowDiskUnavailable("Expected Linux with a C compiler to delay fsync, found none.")
    shim = folder / "slow_fsync.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(shim), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SlowDiskUnavailable(f"Expected {compiler} to compile the delay of fsync, it said: {done.stderr[-300:]}")
    return shim


def delayed_by(milliseconds: float, shim: Path) -> Mapping[str, str]:
    """Return the environment in which every fsync of a process takes longer."""
    return {"LD_PRELOAD": str(shim), "SLOW_FSYNC_US": str(round(1e3 * milliseconds))}


def fsync_us(folder: Path, environment: Mapping[str, str]) -> float:
    """Return the median microseconds of an fsync in `folder`, by a process in such an environment.

    Raises
    ------
    SlowDiskUnavailable : the process fails.
    """
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(folder)],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SlowDiskUnavailable(f"Expected fsync to be measured, found: {done.stderr.strip()[-300:]}")
    return 1e6 * float(done.stdout)
