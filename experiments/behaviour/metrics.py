"""How good predictions were: ranking, calibration, money, dates; and the bootstrap interval of a difference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray, IntArray

REPLICATES = 200
BINS = 10
SUREST = 1e-6
Metric = Callable[[FloatArray, FloatArray], float]


def auc(came: FloatArray, predicted: FloatArray) -> float:
    """Return the chance that who came ranks above who did not, ties counted half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    positives = float(came.sum())
    negatives = len(came) - positives
    if not positives or not negatives:
        return float("nan")
    above = float(rankdata(predicted)[came > 0.5].sum()) - positives * (positives + 1.0) / 2.0
    return above / (positives * negatives)


def log_loss(came: FloatArray, predicted: FloatArray) -> float:
    """Return the mean of -log of the probability given to what happened."""
    return float(np.mean(log_losses(came, predicted)))


def log_losses(came: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return -log of the probability given to what happened, [N]."""
    kept = np.clip(predicted, SUREST, 1.0 - SUREST)
    return np.asarray(-(came * np.log(kept) + (1.0 - came) * np.log1p(-kept)))


def ece(came: FloatArray, predicted: FloatArray) -> float:
    """Return the mean distance between predicted and observed shares over ten groups of equal size."""
    groups = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    off = [len(g) * abs(float(came[g].mean() - predicted[g].mean())) for g in groups if len(g)]
    return sum(off) / len(came)


def normalised_gini(spent: FloatArray, predicted: FloatArray) -> float:
    """Return how much of the concentration of spending the ranking by prediction finds; 1 is a perfect ranking."""

    def concentration(order: IntArray) -> float:
        share = np.cumsum(spent[order]) / spent.sum()
        return float(share.mean()) - 0.5 - 0.5 / len(order)

    if not spent.sum():
        return float("nan")
    best = concentration(np.argsort(-spent, kind="stable"))
    return concentration(np.argsort(-predicted, kind="stable")) / best if best else float("nan")


def mean_absolute(truth: FloatArray, predicted: FloatArray) -> float:
    """Return the mean distance."""
    return float(np.abs(truth - predicted).mean())


def median_absolute(truth: FloatArray, predicted: FloatArray) -> float:
    """Return the median distance."""
    return float(np.median(np.abs(truth - predicted)))


@dataclass(frozen=True, slots=True)
class Compared:
    """A figure of a model beside that of a simple rule on the same customers, each with a 95 % bootstrap interval.

    `difference` is model less rule; `better` says which sign is good: 1 or -1.
    """

    model: float
    model_low: float
    model_high: float
    rule: float
    difference: float
    low: float
    high: float
    better: int

    @property
    def clearly(self) -> str:
        """Return whether the model is clearly better, clearly worse, or neither."""
        ends = sorted((self.better * self.low, self.better * self.high))
        return "better" if ends[0] > 0 else "worse" if ends[1] < 0 else "undecided"


def compared(
    metric: Metric, truth: FloatArray, pair: tuple[FloatArray, FloatArray], *, better: int, seed: int
) -> Compared:
    """Return a metric of (model, rule) predictions, resampling customers (Efron 1979) for the intervals."""
    rng = np.random.default_rng(seed)
    draws = np.empty((REPLICATES, 2))
    for b in range(REPLICATES):
        rows = rng.integers(0, len(truth), len(truth))
        draws[b] = [metric(truth[rows], predicted[rows]) for predicted in pair]
    model, rule = (metric(truth, predicted) for predicted in pair)
    low, high = np.nanquantile(draws[:, 0] - draws[:, 1], [0.025, 0.975]).tolist()
    own_low, own_high = np.nanquantile(draws[:, 0], [0.025, 0.975]).tolist()
    return Compared(model, own_low, own_high, rule, model - rule, low, high, better)
