"""Predicted against observed gain in groups of similar prediction, from doubly robust terms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy import Estimate
from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.calibration import quantile_bins
from experiments.uplift_metrics.clusters import Customers, clustered_mean


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the decisions, the gain predicted for them and the one observed, in the unit of the terms."""

    share: float
    predicted: float
    observed: Estimate


def by_decile(
    predicted: FloatArray, terms: FloatArray, customer: Customers | None, *, parts: int = 10, level: float = 0.95
) -> tuple[Part, ...]:
    """Return the parts, lowest predictions first; equal predictions share one.

    Parameters
    ----------
    predicted : float[n], a gain predicted out of fold.
    terms : float[n], unbiased for the same gain: differences of doubly robust scores.
    customer : ids of shape [n], or None where each row is a customer of its own.
    """
    place = quantile_bins(predicted, parts)
    found = []
    for number in np.unique(place):
        inside = place == number
        whose = None if customer is None else np.asarray(customer)[inside]
        observed = clustered_mean(terms[inside], whose, level=level)
        found.append(Part(float(inside.mean()), float(predicted[inside].mean()), observed))
    return tuple(found)
