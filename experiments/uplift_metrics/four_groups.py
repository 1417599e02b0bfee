"""Persuadables, sure things, lost causes, sleeping dogs: what can be said of them, and what can't.

Whether one customer would have come back both with and without an offer is never seen, so nobody is known to be a
persuadable. Two things can be said: which group the model puts a customer into and what is then observed there (the
`Segment`), and between which bounds the true share of each kind must lie (its `Bounds`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from experiments.off_policy import Estimate
from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.clusters import Customers, clustered_mean


class Kind(StrEnum):
    """What a treatment does to a customer."""

    PERSUADABLE = "persuadable"
    SURE_THING = "sure_thing"
    LOST_CAUSE = "lost_cause"
    SLEEPING_DOG = "sleeping_dog"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where the predicted groups part, in odds of the outcome: `noticeable` a change, `sure` without treatment."""

    noticeable: float
    sure: float

    @classmethod
    def relative_to(cls, untreated: float) -> Thresholds:
        """Return a tenth of the average odds without treatment as noticeable, and that average as sure."""
        return cls(noticeable=0.1 * untreated, sure=untreated)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A share that data bound but do not identify: `low` and `high` with their own intervals."""

    low: Estimate
    high: Estimate


@dataclass(frozen=True, slots=True)
class Segment:
    """A predicted group: its share of the decisions, the mean uplift predicted there, and the observed one.

    `observed` is None where the group holds fewer than 100 decisions. `truth` bounds the share of decisions in which
    the customer really is of this kind, whatever the model thinks of her.
    """

    kind: Kind
    share: Estimate
    predicted: float
    observed: Estimate | None
    truth: Bounds


FEWEST = 100


def kinds(untreated: FloatArray, treated: FloatArray, thresholds: Thresholds) -> NDArray[np.str_]:
    """Return the predicted `Kind` of each decision, shape [n], from odds without and with the treatment, each [n]."""
    uplift = treated - untreated
    return np.select(
        [uplift > thresholds.noticeable, uplift < -thresholds.noticeable, untreated >= thresholds.sure],
        [Kind.PERSUADABLE.value, Kind.SLEEPING_DOG.value, Kind.SURE_THING.value],
        Kind.LOST_CAUSE.value,
    )


def four_groups(
    untreated: FloatArray,
    treated: FloatArray,
    scores: tuple[FloatArray, FloatArray],
    customer: Customers | None,
    *,
    thresholds: Thresholds,
    level: float = 0.95,
) -> tuple[Segment, ...]:
    """Return the four groups for a 0/1 outcome and one treatment a decision.

    Parameters
    ----------
    untreated, treated : float[n], odds predicted out of fold, under control and under the treatment.
    scores : (float[n], float[n]), unbiased for the same odds: doubly robust scores of control and of the treatment.
    """
    place = kinds(untreated, treated, thresholds)
    predicted, terms = treated - untreated, scores[1] - scores[0]
    segments = []
    for kind in Kind:
        inside = place == kind.value
        observed = None
        if inside.sum() >= FEWEST:
            whose = None if customer is None else np.asarray(customer)[inside]
            observed = clustered_mean(terms[inside], whose, level=level)
        segments.append(
            Segment(
                kind=kind,
                share=clustered_mean(inside.astype(np.float64), customer, level=level),
                predicted=float(predicted[inside].mean()) if inside.any() else 0.0,
                observed=observed,
                truth=bounds(kind, untreated, treated, scores, customer, level=level),
            )
        )
    return tuple(segments)


def bounds(
    kind: Kind,
    untreated: FloatArray,
    treated: FloatArray,
    scores: tuple[FloatArray, FloatArray],
    customer: Customers | None,
    *,
    level: float = 0.95,
) -> Bounds:
    """Bound the share of a kind by Frechet's inequalities within customers alike (Tian and Pearl 2000; Kallus 2022).

    A kind is two events, A without treatment and B with it (a persuadable: no, and yes). Anywhere
    P(A) + P(B) - 1 <= P(A and B) <= min(P(A), P(B)); where the predictions make one side bite, that side is taken and
    estimated by doubly robust scores. Poor predictions make the bounds wide, never wrong.
    """
    without, with_it = kind in (Kind.SURE_THING, Kind.SLEEPING_DOG), kind in (Kind.PERSUADABLE, Kind.SURE_THING)
    first, second = _side(untreated, without), _side(treated, with_it)
    first_score, second_score = _side(scores[0], without), _side(scores[1], with_it)
    low = np.where(first + second > 1.0, first_score + second_score - 1.0, 0.0)
    high = np.where(first <= second, first_score, second_score)
    return Bounds(clustered_mean(low, customer, level=level), clustered_mean(high, customer, level=level))


def _side(odds: FloatArray, happens: bool) -> FloatArray:
    return odds if happens else 1.0 - odds
