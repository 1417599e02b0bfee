"""Whether the ledger can be written: asked on the way that decisions take to the disk, whoever asks how often."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from decision.errors import EncoreError

# A probe waits no longer, also for a disk that does not answer at all.
PATIENCE = 1.0
# `/readyz` has no key: however often it is asked, the disk is asked once in so many seconds.
FRESH = 1.0


class Readiness:
    """What trying to write came to, at most once in `FRESH` seconds, by a thread that a hung disk may hold."""

    def __init__(self, rehearse: Callable[[float], None]) -> None:
        """`rehearse` writes within so many seconds or raises `EncoreError`."""
        self._rehearse = rehearse
        self._state = threading.Lock()
        self._came = threading.Event()
        self._came.set()
        self._began = self._ended = -math.inf
        self._found = ""

    def fault(self) -> str:
        """Return why the ledger can't be written, nothing when it can. Returns within `PATIENCE` seconds."""
        with self._state:
            now = time.monotonic()
            if self._came.is_set() and now - self._ended >= FRESH:
                self._came.clear()
                self._began = now
                try:
                    threading.Thread(target=self._try, name="readiness", daemon=True).start()
                except RuntimeError:
                    self._came.set()
                    return "Expected a thread to try it with, found none to be had."
            left = self._began + PATIENCE - now
        if not self._came.wait(timeout=max(left, 0.0)):
            return f"Expected a write within {PATIENCE:g} s, found one that does not come to an end."
        return self._found

    def _try(self) -> None:
        try:
            self._rehearse(PATIENCE)
            found = ""
        except EncoreError as error:
            found = str(error)
        except Exception as error:
            # Whoever waits must be told all the same.
            found = f"Expected a write to succeed, it failed: {type(error).__name__}."
        with self._state:
            self._found, self._ended = found, time.monotonic()
            self._came.set()
