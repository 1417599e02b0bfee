"""Whether the ledger can be written: tried on the way that decisions take to the disk, whoever asks how often."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

from decision.errors import DeadlinePassed, EncoreError

# Who asks waits no longer; a try gives up before that where others hold the ledger.
PATIENCE = 1.0
TURN_SECONDS = 0.5
# `/readyz` has no key: however often it is asked, the disk is asked once in so many seconds.
FRESH = 1.0
# A ledger that is busy is no reason to send tills elsewhere; one that stays so is.
LONG = 10.0


class Readiness:
    """What trying to write came to, at most once in `FRESH` seconds, by a thread that a hung disk may hold."""

    def __init__(self, rehearse: Callable[[float], None]) -> None:
        """`rehearse` writes or raises `EncoreError`, `DeadlinePassed` when its turn has not come in so many seconds."""
        self._rehearse = rehearse
        self._state = threading.Lock()
        self._came = threading.Event()
        self._came.set()
        self._began = self._ended = -math.inf
        # Since when every try has been late.
        self._late_since: float | None = None
        self._found = ""

    def fault(self) -> str:
        """Return why the ledger can't be written, nothing when it can. Returns within `PATIENCE` seconds."""
        with self._state:
            now = time.monotonic()
            if self._came.is_set() and now - self._ended >= FRESH:
                try:
                    threading.Thread(target=self._try, name="readiness", daemon=True).start()
                except RuntimeError:
                    return "Expected a thread to try it with, found none to be had."
                self._came.clear()
                self._began = now
            left = self._began + PATIENCE - now
        self._came.wait(timeout=max(left, 0.0))
        with self._state:
            late_since = self._late_since
            if late_since is None and not self._came.is_set():
                late_since = self._began
            if late_since is not None and time.monotonic() - late_since >= LONG:
                return f"Expected a write within {LONG:g} s, found none that came to an end."
            return self._found

    def _try(self) -> None:
        found, late = "", False
        try:
            self._rehearse(TURN_SECONDS)
        except DeadlinePassed:
            late = True
        except EncoreError as error:
            found = str(error)
        except Exception as error:
            # Whoever waits must be told all the same.
            found = f"Expected a write to succeed, it failed: {type(error).__name__}."
        with self._state:
            before = self._began if self._late_since is None else self._late_since
            self._late_since = before if late else None
            self._found, self._ended = found, time.monotonic()
            self._came.set()
