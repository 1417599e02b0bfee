"""Runs a WSGI application on granian's worker processes."""

from __future__ import annotations

import os


def run(target: str, *, host: str, port: int, workers: int, threads: int) -> None:
    """Serve the application that the factory `target` (`module:function`) makes, until a signal ends it."""
    # Decisions are small: more threads per matrix product only fight over the cores.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import multiprocessing

    # A forked worker would inherit numpy with its threads already set up, and the variables would come too late.
    multiprocessing.set_start_method("spawn", force=True)
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        target,
        factory=True,
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        respawn_failed_workers=True,
        log_level="warning",
    ).serve()
