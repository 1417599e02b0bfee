"""The checks that a case's units allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.ab.case import Case, MetricKind
from experiments.ab.clusters import by_cluster
from experiments.ab.metric_columns import columns_of_metric
from experiments.ab.moments import Moments, by_arm
from experiments.ab.soundness import (
    Check,
    balance,
    contamination,
    duplicates,
    logging_loss,
    outliers,
    sample_ratio,
    sample_ratio_within,
    seen_in_two_arms,
    skewness,
)
from experiments.ab.units import Units


def checks_of(case: Case, units: Units) -> tuple[Check, ...]:
    """Return every check, in the order in which they explain each other."""
    arm, first = _randomised(case, units)
    shares = [case.arms.shares[name] for name in units.arms]
    found = dict(zip(units.arms, np.bincount(arm, minlength=len(units.arms)).tolist(), strict=True))
    checks = [sample_ratio(found, {name: case.arms.shares[name] for name in units.arms})]
    for dimension in case.units.dimensions:
        checks.append(sample_ratio_within(units.texts[dimension][first], arm, shares, dimension))
    if len(units.day):
        checks.append(sample_ratio_within(units.day[first], arm, shares, "day"))
    ids = case.units.cluster or case.units.unit
    if ids:
        checks.append(contamination(units.texts[ids], units.arm))
    if case.units.unit:
        clustered = case.units.cluster == case.units.unit
        checks.append(duplicates(units.texts[case.units.unit], clustered=clustered))
    covariates = tuple(dict.fromkeys(name for metric in case.metrics for name in metric.covariates))
    if covariates:
        checks.append(balance(_before(case, units, covariates), covariates))
    if case.arms.assigned:
        checks.append(logging_loss(dict(case.arms.assigned), found))
    large = {
        metric.columns[0]
        for metric in case.metrics
        if metric.kind in (MetricKind.MEAN, MetricKind.RATIO) and metric.winsorise is None
    }
    checks += [outliers(name, units.numbers[name]) for name in case.numbers if name in large]
    if not case.units.cluster:
        sizes = np.bincount(units.arm, minlength=len(units.arms)).tolist()
        means = [metric for metric in case.metrics if metric.kind is MetricKind.MEAN]
        checks += [skewness(one.name, columns_of_metric(units, case, one).columns[0], sizes) for one in means]
    return tuple(checks)


def _before(case: Case, units: Units, covariates: tuple[str, ...]) -> list[Moments]:
    """Return the moments of the covariates by arm over what was randomised.

    A cluster is its rows' mean: their number may have been changed by the treatment, what was before can't be.
    """
    columns = [units.numbers[name] for name in covariates]
    if not case.units.cluster:
        return by_arm(columns, units.arm, len(units.arms))
    ids = units.texts[case.units.cluster]
    once = ~seen_in_two_arms(ids, units.arm)
    rows = by_cluster(ids[once], units.arm[once], [column[once] for column in columns])
    means = [np.ascontiguousarray(column) for column in (rows.sums / rows.size[:, None]).T]
    return by_arm(means, rows.arm, len(units.arms))


def _randomised(case: Case, units: Units) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the arm of each of what was randomised, where it was first seen, and that row."""
    if not case.units.cluster:
        return units.arm, np.arange(len(units))
    _, first = np.unique(units.texts[case.units.cluster], return_index=True)
    return units.arm[first], first
