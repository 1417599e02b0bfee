"""What the numbers were measured on: without it they mean nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import msgspec

PACKAGES = ("encore", "granian", "flask", "msgspec", "numpy")
SYNCS = 200
SYNC_BYTES = 4_096


class Machine(msgspec.Struct, frozen=True):
    """Where a run took place. `fsync_us` is the disk's median time for 4 KiB written and synced, in microseconds."""

    processor: str
    cores: int
    system: str
    versions: dict[str, str]
    fsync_us: float


def machine(folder: Path) -> Machine:
    """Return this machine, and the speed of the disk that `folder` is on."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        system=platform.platform(),
        versions={
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            **{name: version(name) for name in PACKAGES},
        },
        fsync_us=1e6 * fsync_seconds(folder),
    )


def fsync_seconds(folder: Path) -> float:
    """Return the median time of 200 appends of 4 KiB, each synced. A virtual disk may pretend to sync."""
    block, took = b"\0" * SYNC_BYTES, []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            file.write(block)
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
