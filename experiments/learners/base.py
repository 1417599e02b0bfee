"""The contract of a learner: odds of an outcome for every action, exportable to plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.records import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows for a learner: `x` [n, D] encoded contexts, `action` [n] places in a catalogue of K, `outcome` [n] 0/1.

    `features` knows which actions share an offer or a channel.
    """

    x: FloatArray
    action: IntArray
    outcome: FloatArray
    features: ActionFeatures

    @property
    def actions(self) -> int:
        """Return K."""
        return len(self.features.offers)

    def where(self, keep: np.ndarray) -> Rows:
        """Return the rows marked in `keep` [n]."""
        return Rows(self.x[keep], self.action[keep], self.outcome[keep], self.features)


@dataclass(frozen=True, slots=True)
class Export:
    """The served form: the kind (`linear` or `forest`, see `decision.bundle.models`) and its arrays."""

    kind: str
    arrays: Mapping[str, np.ndarray]


class Fitted(Protocol):
    """A fitted learner."""

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return the odds for all K actions, shape [n, K].

        `in_sample` says whether `x` was trained on; such predictions may be shown, never judged.
        """
        ...

    def export(self) -> Export:
        """Return the served form; it predicts the same to 1e-9."""
        ...


class Learner(Protocol):
    """Learns the odds of an outcome for every action.

    `complexity` orders learners from simple to flexible.
    """

    name: str
    complexity: int

    def fit(self, rows: Rows, *, seed: int) -> Fitted:
        """Return the fitted learner. Raises `NotEnoughData` when the rows can't support it."""
        ...


def enough(rows: Rows) -> None:
    """Raise `NotEnoughData` below ten of either outcome."""
    positives = int(rows.outcome.sum())
    if min(positives, len(rows.outcome) - positives) < 10:
        raise NotEnoughData(f"Expected at least 10 of either outcome, found {positives} of {len(rows.outcome)}.")
