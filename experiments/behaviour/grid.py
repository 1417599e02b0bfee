"""The grid that marketers plan with: how likely is a purchase, and is she slipping by her own rhythm."""

from __future__ import annotations

from typing import Any

import numpy as np

from decision.records import FloatArray

LIKELY = 0.5
SLIPPING, LEAVING = 1.0 / 3.0, 2.0 / 3.0
PROBABILITIES = ("unlikely", "likely")
CHURNS = ("staying", "slipping", "leaving")
CELLS = tuple(f"{p}-{c}" for p in PROBABILITIES for c in CHURNS)
WHAT_TO_DO = {
    "likely-staying": "leave alone: they come by themselves",
    "likely-slipping": "remind",
    "likely-leaving": "remind now, while they are likely to buy",
    "unlikely-staying": "wait: it is not their time yet",
    "unlikely-slipping": "win back with an offer that pays",
    "unlikely-leaving": "win back at a low price, or let go",
}


def cells(repurchase: FloatArray, churn: FloatArray) -> list[str]:
    """Return each customer's cell, [N], of her chance of a purchase in 90 days and of churn."""
    places = np.where(repurchase >= LIKELY, 3, 0) + np.searchsorted([SLIPPING, LEAVING], churn, side="right")
    return [CELLS[place] for place in places]


def counts(found: Any) -> FloatArray:
    """Return how many customers are in each cell, [2, 3], of a list of cells."""
    return np.array([sum(1 for cell in found if cell == one) for one in CELLS], float).reshape(2, 3)
