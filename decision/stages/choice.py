"""Choice: distribution first, an additive floor, then one draw from exactly that distribution."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from decision.errors import EncoreError
from decision.records import FloatArray
from decision.stages.hashing import uniform


def with_floor(distribution: FloatArray, floor: float) -> FloatArray:
    """Return `(1 - K * floor) * distribution + floor`, shape [K]: every action has at least `floor`.

    Additive, because clipping and renormalising pushes others below the floor. With so many actions that
    K * floor would exceed 1, the floor is 1 / K and the distribution uniform.
    """
    k = len(distribution)
    floor = min(floor, 1.0 / k)
    floored: FloatArray = (1.0 - k * floor) * distribution + floor
    return floored


def sample(distribution: FloatArray, *, draw: float) -> int:
    """Return the index that a uniform `draw` in [0, 1) picks from `distribution` by inverting its sum.

    Raises
    ------
    EncoreError : the distribution does not sum to 1 within 1e-9 or holds a negative number.
    """
    # Over so few numbers, plain Python is several times as fast as arrays.
    chances = distribution.tolist()
    edges = list(accumulate(chances))
    if not (abs(edges[-1] - 1.0) <= 1e-9 and min(chances) >= 0.0):
        raise EncoreError(f"Expected probabilities that sum to 1, found {chances}.")
    chosen = bisect_right(edges, draw)
    while chosen == len(chances) or chances[chosen] == 0.0:
        chosen -= 1
    return chosen


def draw_for(decision_id: str, *, salt: str, attempt: int) -> float:
    """Return the uniform draw of a decision; a hash, so that a retry with the same id draws the same.

    `attempt` counts how often the allowed set shrank while deciding: a new set needs an independent draw, or
    its propensities would be wrong.
    """
    return uniform(salt, "draw", decision_id, str(attempt))
