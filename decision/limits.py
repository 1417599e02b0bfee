"""How long a decision may take and how much a process takes on at once: set by `encore serve`, read by its workers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEADLINE_VARIABLE = "ENCORE_DEADLINE_MS"
DEADLINE_MS = 50.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a serving process keeps to."""

    deadline_seconds: float = DEADLINE_MS / 1000

    @staticmethod
    def of(environment: Mapping[str, str]) -> Limits:
        """Return the limits that environment variables set."""
        return Limits(deadline_seconds=float(environment.get(DEADLINE_VARIABLE, DEADLINE_MS)) / 1000)


def from_environment() -> Limits:
    """Return the limits of this process."""
    return Limits.of(os.environ)
