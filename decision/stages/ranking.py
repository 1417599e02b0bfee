"""Ranking the caller's own actions: what is asked, what was answered, and what an answer turned out to be worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from decision.errors import InvalidInput
from decision.policies.bandit import best
from decision.programme.model import RankSettings
from decision.records import FloatArray
from decision.stages.choice import sample, with_floor

DEPTH = 16


@dataclass(frozen=True, slots=True)
class RankAction:
    """An action that a caller may take, with its features as JSON has them."""

    action_id: str
    features: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class RankedEvent:
    """A ranking as it was answered. `probabilities` [K] are those it was drawn with, 0 for what was excluded.

    `actions` are in the caller's order: the first is the baseline. A `deferred` event counts once it is activated.
    """

    event_id: str
    ranked_at: datetime
    due_at: datetime
    deferred: bool
    fingerprint: str
    context: Sequence[Any]
    actions: tuple[RankAction, ...]
    probabilities: tuple[float, ...]
    chosen: int
    model_version: int

    @property
    def ranking(self) -> list[tuple[str, float]]:
        """Return ids and probabilities, the chosen one first, then the likelier; what was excluded keeps its place."""
        places = [k for k, p in enumerate(self.probabilities) if p > 0.0]
        rest = sorted((k for k in places if k != self.chosen), key=lambda k: -self.probabilities[k])
        order = list(range(len(self.actions)))
        for place, k in zip(places, [self.chosen, *rest], strict=True):
            order[place] = k
        return [(self.actions[k].action_id, self.probabilities[k]) for k in order]


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller told of an event: a reward, or with None that it was activated."""

    at: datetime
    value: float | None


def chances(scores: FloatArray, allowed: Sequence[bool], *, exploration: float) -> FloatArray:
    """Return a probability for each of K actions: the share `exploration` is spread evenly, the best gets the rest.

    Where scores are equal the first allowed one is the best: before anything is learned, that is the baseline.
    """
    places = np.flatnonzero(allowed)
    found = np.zeros(len(scores))
    found[places] = with_floor(best(scores[places]), exploration / len(places))
    return found


def drawn(probabilities: FloatArray, *, draw: float) -> int:
    """Return the index that a uniform `draw` picks."""
    return sample(probabilities, draw=draw)


def settled(event: RankedEvent, told: Sequence[Told], settings: RankSettings) -> float | None:
    """Return the reward in [-1, 1] of an event whose wait is over; None where it is not to be learned from.

    What was told after the wait is left aside. A sum that leaves the range is cut at its ends.
    """
    in_time = [one for one in told if one.at <= event.due_at]
    if event.deferred and not in_time:
        return None
    values = [one.value for one in in_time if one.value is not None]
    if not values:
        return settings.default_reward
    by = {"earliest": values[0], "latest": values[-1], "sum": sum(values)}
    return float(np.clip(by[settings.aggregation], -1.0, 1.0))


def facts(features: Sequence[Any], *, pointer: str = "$") -> Mapping[str, float]:
    """Return features as named numbers: a text or a truth is a name of its own, large numbers count by magnitude.

    Raises
    ------
    InvalidInput : they are nested deeper than `DEPTH`, or a whole number takes more than 64 bits; `pointer` says where.
    """
    found: dict[str, float] = {}
    for place, one in enumerate(features):
        _gather(one, "", found, f"{pointer}[{place}]", DEPTH)
    return found


def _gather(value: Any, name: str, found: dict[str, float], pointer: str, depth: int) -> None:
    if depth == 0:
        raise InvalidInput(f"Expected features of at most {DEPTH} levels, found more at {pointer}.", pointer=pointer)
    match value:
        case dict():
            for key, inner in value.items():
                _gather(inner, f"{name}.{key}", found, pointer, depth - 1)
        case list():
            for place, inner in enumerate(value):
                own = name if isinstance(inner, str | dict) else f"{name}[{place}]"
                _gather(inner, own, found, pointer, depth - 1)
        case bool() | str():
            found[f"{name}={value}"] = 1.0
        case int() if value.bit_length() > 63:
            raise InvalidInput(
                f"Expected numbers of 64 bits at {pointer}, found a longer one.",
                hint="Send an identifier as a text.",
                pointer=pointer,
            )
        case int() | float():
            # Nobody told their scale, and one absurdly large number must not drown the others.
            found[name] = float(np.arcsinh(float(value)))
