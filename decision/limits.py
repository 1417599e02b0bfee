"""How long a decision may take and how much a process takes on at once: set by `encore serve`, read by its workers."""

from __future__ import annotations

import os
from dataclasses import dataclass

DEADLINE_VARIABLE = "ENCORE_DEADLINE_MS"
AT_ONCE_VARIABLE = "ENCORE_THREADS"
WAITING_VARIABLE = "ENCORE_WAITING"
DEADLINE_MS = 50.0
AT_ONCE = 8
WAITING = 60
TURNING_AWAY = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What a serving process keeps to: requests that it works on at once, and how many more may wait for that."""

    deadline_seconds: float = DEADLINE_MS / 1000
    at_once: int = AT_ONCE
    waiting: int = WAITING

    @property
    def threads(self) -> int:
        """Return how many threads that takes, with some that turn others away."""
        return self.at_once + self.waiting + TURNING_AWAY


def from_environment() -> Limits:
    """Return the limits of this process."""
    return Limits(
        deadline_seconds=float(os.environ.get(DEADLINE_VARIABLE, DEADLINE_MS)) / 1000,
        at_once=int(os.environ.get(AT_ONCE_VARIABLE, AT_ONCE)),
        waiting=int(os.environ.get(WAITING_VARIABLE, WAITING)),
    )


def to_environment(limits: Limits) -> None:
    """Hand limits down to the processes that this one starts."""
    os.environ[DEADLINE_VARIABLE] = str(limits.deadline_seconds * 1000)
    os.environ[AT_ONCE_VARIABLE] = str(limits.at_once)
    os.environ[WAITING_VARIABLE] = str(limits.waiting)
