"""A lock that the processes of a machine share: it lies on a file and dies with its holder."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

# How long a thread stays that has nothing to wait for.
IDLE_SECONDS = 2.0


class FileLock:
    """A lock on a file, for one thread of a process at a time.

    The kernel serves those who wait in turn, but knows no deadline. So a thread of its own does the waiting, and who
    gave up leaves it behind: the next to come takes over what it gets, else it lets go at once. Starting a thread takes
    longer than most waits, so that it stays for a while when there is nothing to wait for.
    """

    def __init__(self, path: Path) -> None:
        """Open the lock file at `path`, making it where there is none."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._state = threading.Lock()
        self._waiting = self._wanted = self._idle = False
        self._came, self._sent = threading.Lock(), threading.Lock()
        self._came.acquire()
        self._sent.acquire()

    def acquire(self, *, patience: float) -> bool:
        """Return whether the lock was had within `patience` seconds."""
        with self._state:
            if not self._waiting and self._had_at_once():
                return True
            self._wanted = True
            if not self._waiting:
                self._send()
        came = False
        try:
            came = self._came.acquire(timeout=patience)
        finally:
            if not came:
                with self._state:
                    self._wanted = False
                    # It may have come in the last moment.
                    came = self._came.acquire(blocking=False)
        return came

    def _had_at_once(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _send(self) -> None:
        """Let the thread wait, starting it where there is none; called with the state held."""
        if self._idle:
            self._sent.release()
        else:
            threading.Thread(target=self._wait_whenever_sent, name="lock", daemon=True).start()
        self._idle, self._waiting = False, True

    def _wait_whenever_sent(self) -> None:
        while True:
            self._wait()
            if not self._sent.acquire(timeout=IDLE_SECONDS):
                with self._state:
                    if self._idle:
                        self._idle = False
                        return
                # It was sent in the last moment.
                self._sent.acquire()

    def _wait(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._state:
            self._waiting, self._idle = False, True
            if self._wanted:
                self._wanted = False
                self._came.release()
            else:
                self.release()

    def release(self) -> None:
        """Let the next one have it."""
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def __del__(self) -> None:
        os.close(self._descriptor)
