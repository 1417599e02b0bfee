"""A lock that the processes of a machine share: it lies on a file and dies with its holder."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path


class FileLock:
    """A lock on a file, for one thread of a process at a time.

    The kernel serves those who wait in turn, but knows no deadline. So a thread of its own does the waiting, and who
    gave up leaves it behind: the next to come takes over what it gets, else it lets go at once.
    """

    def __init__(self, path: Path) -> None:
        """Open the lock file at `path`, making it where there is none."""
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._state = threading.Lock()
        self._waiting = self._wanted = False
        self._came = threading.Lock()
        self._came.acquire()

    def acquire(self, *, patience: float) -> bool:
        """Return whether the lock was had within `patience` seconds."""
        with self._state:
            if not self._waiting and self._had_at_once():
                return True
            self._wanted = True
            if not self._waiting:
                self._waiting = True
                threading.Thread(target=self._wait, name="lock", daemon=True).start()
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

    def _wait(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        with self._state:
            self._waiting = False
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
