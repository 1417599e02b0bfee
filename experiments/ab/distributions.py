"""How a metric is spread over units in each arm: the zeros apart, and a long tail cut where it would hide the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.records import FloatArray
from experiments.ab.analyse import in_one_arm
from experiments.ab.case import Case, Metric, MetricKind, Role
from experiments.ab.metric_columns import MetricColumns, columns_of_metric
from experiments.ab.units import Units

BINS = 40
# Few units lie far out. What is beyond this quantile of all arms is counted and not drawn; nor is what is many times
# as far out as the middle half of the units is wide, where those are more than few.
_DRAWN, _WIDTHS = 0.99, 10.0


@dataclass(frozen=True, eq=False)
class Distribution:
    """A metric over units, by arm.

    Parameters
    ----------
    arms : A names, control first. `n` int[A] units of each.
    zero : float[A], the share of units with exactly 0.
    edges : float[B + 1], of bins of what isn't 0; empty where there are fewer than two such values.
    shares : float[A, B], of all units of the arm.
    beyond : float[A], the share of units outside the edges.
    """

    metric: Metric
    arms: tuple[str, ...]
    n: tuple[int, ...]
    zero: FloatArray
    edges: FloatArray
    shares: FloatArray
    beyond: FloatArray


def distributions_of(case: Case, units: Units) -> tuple[Distribution, ...]:
    """Return the distribution of each primary metric over what was randomised, or over units for a quantile."""
    units = in_one_arm(case, units)
    found = [
        _distribution(columns_of_metric(units, case, metric), units.arms)
        for metric in case.metrics
        if metric.role is Role.PRIMARY
    ]
    return tuple(found)


def _distribution(columns: MetricColumns, arms: tuple[str, ...]) -> Distribution:
    arm, values = columns.arm, _values(columns)
    there = np.isfinite(values)
    arm, values = arm[there], values[there]
    other = values[values != 0]
    edges = _edges(other)
    n = np.bincount(arm, minlength=len(arms))
    each = np.maximum(n, 1)
    zero = np.bincount(arm[values == 0], minlength=len(arms)) / each
    drawn = [values[(arm == k) & (values != 0)] for k in range(len(arms))]
    bins = np.array([np.histogram(one, edges)[0] if len(edges) else [] for one in drawn]).reshape(len(arms), -1)
    shares = bins / each[:, None]
    outside = np.array([len(one) for one in drawn]) - bins.sum(axis=1) if len(edges) else np.zeros(len(arms))
    return Distribution(columns.metric, arms, tuple(n.tolist()), zero, edges, shares, outside / each)


def _values(columns: MetricColumns) -> FloatArray:
    """Return each unit's own value; of a ratio its own one, where it has one."""
    if columns.metric_columns == 1 or columns.metric.kind is MetricKind.QUANTILE:
        return columns.columns[0]
    top, bottom = columns.columns[:2]
    found: FloatArray = np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom != 0)
    return found


def _edges(values: FloatArray) -> FloatArray:
    if not len(values) or values.min() == values.max():
        return np.zeros(0)
    low, high = _drawn(values)
    steps = np.unique(values)
    if len(steps) <= BINS and (np.diff(steps) >= 1).all() and (steps == steps.round()).all() and high - low <= BINS:
        # Counts: a bin for each number.
        return np.arange(np.floor(max(low, steps[0])) - 0.5, np.ceil(high) + 1.0)
    return np.linspace(low, high, BINS + 1)


def _drawn(values: FloatArray) -> tuple[float, float]:
    """Return the ends between which values are drawn; from 0 on where that costs at most half of the width."""
    low, lower, upper, high = np.quantile(values, [1 - _DRAWN, 0.25, 0.75, _DRAWN]).tolist()
    if upper > lower:
        far = _WIDTHS * (upper - lower)
        low, high = max(low, lower - far), min(high, upper + far)
    if not high > low:
        return float(values.min()), float(values.max())
    return (0.0 if values.min() > 0 and low < high - low else low), high
