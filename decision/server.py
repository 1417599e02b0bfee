"""Runs a WSGI application on granian's worker processes."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from decision.errors import InvalidInput

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

# What the server itself has to say goes where this process's lines go.
LOGGING = {"formatters": {}, "handlers": {}, "loggers": {"_granian": {"propagate": True}}}
# A worker that has not stopped by then is ended: one that is told twice may wait for itself.
STOP_SECONDS = 5
# Workers that keep dying are started anew, after pauses that grow: what kills them may end, and tills go on asking.
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
log = logging.getLogger("encore")


def address_for(host: str, port: int) -> str:
    """Return the IP address of `host`, at which a server can listen on `port`.

    Asked before workers start: they share their port with each other, and would share it with another server's too.

    Raises
    ------
    InvalidInput : the port is taken, or nobody can listen there.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Connections of a server that has just ended don't stand in the way of its successor.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise InvalidInput(f"Port {port} is taken.", hint="Give another --port.") from None
        raise InvalidInput(f"Can't listen on {host} port {port}: {error.strerror}.") from None
    return str(address[0])


def leave_interrupts_to_parent() -> None:
    """Keep Ctrl-C, which a terminal sends to all processes, from a worker and the threads it starts from here on.

    The parent hears it and stops the workers; told by both, a worker would wait for itself.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """End this worker, as gently as when it is told to, once the process that started it has been killed.

    It would go on serving with nobody to stop it, and keep the port from a new server.
    """
    import multiprocessing

    parent, main = multiprocessing.parent_process(), threading.main_thread().ident
    if parent is None or main is None:
        return

    def watch() -> None:
        parent.join()
        # Sent to the process it could reach this thread, and the one that serves would sleep on.
        signal.pthread_kill(main, signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


class CloseWhenTold:
    """A WSGI application whose answers end their connections once this worker has been told to stop.

    A connection that is kept alive could ask on: the server waits for it to end by itself, until it kills the worker.
    """

    def __init__(self, app: WSGIApplication) -> None:
        """Listen for SIGTERM from here on; to be made in the main thread, where nobody else listens for signals."""
        self._app = app
        self._told = threading.Event()
        heard, self._tell = socket.socketpair()
        self._tell.setblocking(False)
        others = signal.set_wakeup_fd(self._tell.fileno())
        if others != -1:
            signal.set_wakeup_fd(others)
            return

        def listen() -> None:
            while signals := heard.recv(64):
                if signal.SIGTERM in signals:
                    self._told.set()

        threading.Thread(target=listen, name="signals", daemon=True).start()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        if not self._told.is_set():
            return self._app(environ, start_response)

        def begin_last_response(line: str, headers: list[tuple[str, str]], *failure: Any) -> Callable[[bytes], object]:
            return start_response(line, [*headers, ("Connection", "close")], *failure)

        return self._app(environ, begin_last_response)


def run(target: str, *, host: str, port: int, workers: int, threads: int) -> None:
    """Serve the application that the factory `target` (`module:function`) makes, until a signal ends it.

    `threads` is how many requests each worker hands to the application at once; others wait outside of Python.
    """
    # Decisions are small: more threads per matrix product only fight over the cores.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    import multiprocessing

    # A forked worker would inherit numpy with its threads already set up, and the variables would come too late.
    multiprocessing.set_start_method("spawn", force=True)
    from granian import Granian
    from granian.constants import Interfaces

    # It counts threads against cores; most of ours wait, or turn requests away.
    logging.getLogger("_granian").addFilter(lambda line: "Python threads" not in line.getMessage())
    pause = FIRST_PAUSE_SECONDS
    while True:
        granian = Granian(
            target,
            factory=True,
            address=host,
            port=port,
            interface=Interfaces.WSGI,
            workers=workers,
            blocking_threads=threads,
            respawn_failed_workers=True,
            workers_kill_timeout=STOP_SECONDS,
            log_level="warning",
            log_dictconfig=LOGGING,
        )
        began = time.monotonic()
        # It gives up, with an exit code, when a worker dies twice within seconds.
        with suppress(SystemExit):
            granian.serve()
        if granian.interrupt_signal:
            return
        if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        log.error("workers keep dying; all are started anew in %g s", pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
