"""How long customers take to come back: what part of the repurchases to come shows by now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from decision.ledger.base import Rewarded
from decision.records import FloatArray

FEWEST = 30
# A decision that shows next to nothing yet teaches next to nothing, and its likelihood is all rounding.
LEAST_SEEN = 0.02


@dataclass(frozen=True, slots=True)
class Delay:
    """The waits [m] of those who came back, in seconds, in order."""

    waits: FloatArray

    @staticmethod
    def of(finished: Iterable[Rewarded]) -> Delay | None:
        """Return the delay in decisions whose reward is final; None when fewer than 30 of them tell.

        An imported trial says that a customer came back, and not when.
        """
        waits = [
            (row.reward.first_order_at - row.decision.decided_at).total_seconds()
            for row in finished
            if row.reward.repurchased and row.reward.first_order_at is not None
        ]
        return Delay(np.sort(np.array(waits))) if len(waits) >= FEWEST else None

    def seen(self, ages: FloatArray, window: timedelta) -> FloatArray:
        """Return the share [n] of the repurchases within `window` that show at ages [n], in seconds; 1 beyond it."""
        share = np.searchsorted(self.waits, ages, side="right") / len(self.waits)
        return np.where(ages >= window.total_seconds(), 1.0, share)
