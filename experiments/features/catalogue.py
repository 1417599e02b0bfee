"""Every feature there is, in the order they are printed in. Ibis is not needed to know their names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from experiments.features.feature import Feature
from experiments.features.reach import CHANNELS, REACH, response_through
from experiments.features.returning import RETURNING
from experiments.features.spending import SPENDING
from experiments.features.timing import TIMING
from experiments.features.variety import VARIETY


def catalogue(channels: Sequence[str] = CHANNELS) -> tuple[Feature, ...]:
    """Return all features, with the response rates of these channels."""
    through = (response_through(channel) for channel in channels)
    return (*TIMING, *SPENDING, *RETURNING, *VARIETY, *REACH, *through)


# Raised whenever a definition changes: values of another version can't be compared.
VERSION = 1


def version_of(features: Sequence[Feature]) -> str:
    """Return what tells values of these features from those of other ones or of other definitions."""
    names = "\n".join(feature.name for feature in features)
    return f"features-{VERSION}-{hashlib.sha256(names.encode()).hexdigest()[:8]}"


def profile_values(channels: Sequence[str]) -> Mapping[str, str]:
    """Return the features' names with their kinds, as values of customers' profiles."""
    return {feature.name: feature.kind for feature in catalogue(channels)}
