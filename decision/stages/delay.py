"""How long customers take to come back: what part of the repurchases to come shows by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from decision.records import FloatArray

FEWEST = 30
# A decision that shows next to nothing yet teaches next to nothing, and its likelihood is all rounding.
LEAST_SEEN = 0.02


@dataclass(frozen=True, slots=True)
class Delay:
    """The waits [m] of those who came back, in seconds, in order."""

    waits: FloatArray

    @staticmethod
    def of(waits: Iterable[timedelta]) -> Delay | None:
        """Return the delay of those who came back after such waits; None when there are fewer than 30."""
        seconds = np.sort([wait.total_seconds() for wait in waits])
        return Delay(seconds) if len(seconds) >= FEWEST else None

    def seen(self, ages: FloatArray, window: timedelta) -> FloatArray:
        """Return the share [n] of the repurchases within `window` that show at ages [n], in seconds; 1 beyond it."""
        share = np.searchsorted(self.waits, ages, side="right") / len(self.waits)
        return np.where(ages >= window.total_seconds(), 1.0, share)
