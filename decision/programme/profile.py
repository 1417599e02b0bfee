"""Which values of customers' profiles there are: whoever works some out offline names them by an entry point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points

SOURCES = "encore.profile_values"
MEANINGS = "encore.profile_meanings"
NUMBER, CATEGORY = "number", "category"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value of a profile says, for a person; `levels` are all that a category can be, empty where open."""

    source: str
    kind: str
    description: str = ""
    unit: str = ""
    null: str = ""
    levels: tuple[str, ...] = ()


def profile_values(channels: Sequence[str]) -> dict[str, str]:
    """Return the names of all values with their kinds (number or category), given the programme's channels.

    An entry point is a function of the channels that returns its values; it loads nothing heavy.
    """
    found: dict[str, str] = {}
    for point in sorted(entry_points(group=SOURCES), key=lambda point: point.name):
        found |= point.load()(channels)
    return found


def profile_meanings(channels: Sequence[str]) -> dict[str, Meaning]:
    """Return what the values mean, by name; whoever names values need not say."""
    found = {name: Meaning("", kind) for name, kind in profile_values(channels).items()}
    for point in sorted(entry_points(group=MEANINGS), key=lambda point: point.name):
        found |= point.load()(channels)
    return found
