"""One implementation in a process of its own: how long it took, and how much memory at most."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

KILOBYTE = 1024


def measured(compute: Callable[[Path, datetime, Path], None]) -> None:
    """Run what the command line asks for; print seconds, CPU seconds and peak bytes as JSON. Imports take no time."""
    lines, as_of, out = sys.argv[1:]
    began, worked = time.perf_counter(), time.process_time()
    compute(Path(lines), datetime.fromisoformat(as_of), Path(out))
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak}))
