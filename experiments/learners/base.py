"""The contract of a learner: odds of an outcome for every action and how sure they are, exportable to plain arrays."""

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

    `features` knows which actions share an offer or a channel. `customer` [n] says whose row it is; without it, each
    is another customer's.
    """

    x: FloatArray
    action: IntArray
    outcome: FloatArray
    features: ActionFeatures
    customer: np.ndarray | None = None

    @property
    def actions(self) -> int:
        """Return K."""
        return len(self.features.offers)

    @property
    def members(self) -> np.ndarray:
        """Return the customer of each row, shape [n]."""
        return np.arange(len(self.x)) if self.customer is None else self.customer

    def where(self, keep: np.ndarray) -> Rows:
        """Return the rows marked in `keep` [n], or of the places that it holds."""
        customer = None if self.customer is None else self.customer[keep]
        return Rows(self.x[keep], self.action[keep], self.outcome[keep], self.features, customer)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """How sure a model is of n customers, on the scale of log-odds.

    `deviation` [n, K] is the standard deviation of each action's log-odds, `with_control` [n, K] their covariance
    with control's: what is unsure about a customer under all actions alike cancels in a comparison.
    """

    deviation: FloatArray
    with_control: FloatArray

    def of_gain(self, odds: FloatArray, per_repurchase: FloatArray) -> FloatArray:
        """Return the standard deviation [n, K] of what each action brings more than control.

        `odds` [n, K] are the predictions, `per_repurchase` [n, K] what a repurchase is worth under each action: ones
        give the uplift in odds. First order (delta method), for a worth that is known.
        """
        slope = per_repurchase * odds * (1.0 - odds)
        variance = (slope * self.deviation) ** 2 + (slope * self.deviation)[:, :1] ** 2
        variance -= 2.0 * slope * slope[:, :1] * self.with_control
        variance[:, 0] = 0.0
        return np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True, slots=True)
class Export:
    """The served form: the kind (`linear` or `forest`, see `decision.bundle.models`) and its arrays."""

    kind: str
    arrays: Mapping[str, np.ndarray]


class Sure(Protocol):
    """Tells how sure predictions are, and works it out when it is first asked."""

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return how sure the predictions for `x` [n, D] are. Raises `NotEnoughData` when the rows can't tell."""
        ...


class Fitted(Protocol):
    """A fitted learner."""

    def predict(self, x: FloatArray, *, in_sample: bool) -> FloatArray:
        """Return the odds for all K actions, shape [n, K].

        `in_sample` says whether `x` was trained on; such predictions may be shown, never judged.
        """
        ...

    def uncertainty(self, x: FloatArray) -> Uncertainty:
        """Return how sure the predictions for `x` are. Worked out when it is asked for, never by `fit`.

        Raises `NotEnoughData` when the rows can't tell.
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
