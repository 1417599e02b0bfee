"""A slow disk and a clock that jumps, for one server alone: a preloaded library that is told by a shared file."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("shim.c")


class Shim:
    """What a server that was started with `environment` is told of its disk and clock."""

    def __init__(self, library: Path, folder: Path) -> None:
        """Tell nothing yet."""
        told = folder / "shim.told"
        told.write_bytes(bytes(16))
        with told.open("r+b") as file:
            self._told = mmap.mmap(file.fileno(), 16)
        self.environment = {"LD_PRELOAD": str(library), "ENCORE_SHIM": str(told)}

    def tell(self, *, sync_seconds: float = 0.0, clock_seconds: int = 0) -> None:
        """Let each sync take so much longer, and the clock be so far off."""
        self._told[:] = struct.pack("<qq", round(sync_seconds * 1e6), clock_seconds)


def built(folder: Path) -> Shim | None:
    """Return a shim that is compiled into `folder`, or None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(SOURCE)], check=True)
    return Shim(library, folder)
