"""The values of profiles by name, with what they mean: predictions here, features from their own catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from decision.programme.profile import CATEGORY, NUMBER, Meaning
from experiments.behaviour import grid, rfm
from experiments.behaviour.meanings import COLUMNS

SOURCE = "predictions"
WHY = "why"
SEGMENTS: Mapping[str, tuple[str, ...]] = {"rfm": rfm.NAMES, "grid": grid.CELLS}
# Days as ISO texts, flags as 1 and 0: rules compare numbers and texts.
_KINDS = {"double": NUMBER, "int64": NUMBER, "bool": NUMBER, "string": CATEGORY, "date32": CATEGORY}
_UNITS = {"bool": "1 yes, 0 no"}
_NOT_HERS = ("customer_id",)


def predicted_values() -> Mapping[str, Meaning]:
    """Return the predictions that stand in profiles, in the order of the table."""
    return {
        name: Meaning(SOURCE, _KINDS[kind], says, unit or _UNITS.get(kind, ""), levels=SEGMENTS.get(name, ()))
        for name, (kind, unit, says) in COLUMNS.items()
        if name not in _NOT_HERS
    }


def profile_values(channels: Sequence[str]) -> Mapping[str, str]:
    """Return the predictions' names with their kinds, as values of customers' profiles."""
    del channels
    return {name: meaning.kind for name, meaning in predicted_values().items()}


def profile_meanings(channels: Sequence[str]) -> Mapping[str, Meaning]:
    """Return what predictions and features mean."""
    from experiments.features.catalogue import catalogue

    of_features = {
        one.name: Meaning("features", one.kind, one.description, one.unit, one.null) for one in catalogue(channels)
    }
    return {**of_features, **predicted_values()}
