"""Which values of customers' profiles there are: whoever works some out offline names them by an entry point."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points

SOURCES = "encore.profile_values"


def profile_values(channels: Sequence[str]) -> dict[str, str]:
    """Return the names of all values with their kinds (number or category), given the programme's channels.

    An entry point is a function of the channels that returns its values; it loads nothing heavy.
    """
    found: dict[str, str] = {}
    for point in sorted(entry_points(group=SOURCES), key=lambda point: point.name):
        found |= point.load()(channels)
    return found
