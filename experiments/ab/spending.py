"""Alpha spending (Lan and DeMets 1983): how much of the error may be spent by a share of the information."""

from __future__ import annotations

import math
from enum import StrEnum

from scipy.special import ndtr, ndtri


class Spending(StrEnum):
    """Like O'Brien and Fleming's boundaries, almost nothing at first; or like Pocock's, evenly."""

    OBRIEN_FLEMING = "obrien_fleming"
    POCOCK = "pocock"

    def spent(self, information: float, alpha: float) -> float:
        """Return what a two-sided test has spent by this share of the information, half of it on each side."""
        share = min(max(information, 0.0), 1.0)
        if share == 0:
            return 0.0
        if self is Spending.POCOCK:
            return alpha * math.log1p((math.e - 1) * share)
        return 4 * float(ndtr(ndtri(alpha / 4) / math.sqrt(share)))
