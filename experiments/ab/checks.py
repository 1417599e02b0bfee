"""The checks that a case's units allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from experiments.ab.case import Case, MetricKind
from experiments.ab.moments import by_arm
from experiments.ab.soundness import (
    Check,
    balance,
    contamination,
    duplicates,
    logging_loss,
    outliers,
    sample_ratio,
    sample_ratio_within,
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
    if covariates and not case.units.cluster:
        columns = [units.numbers[name] for name in covariates]
        checks.append(balance(by_arm(columns, units.arm, len(units.arms)), covariates))
    if case.arms.assigned:
        checks.append(logging_loss(dict(case.arms.assigned), found))
    large = {
        metric.columns[0]
        for metric in case.metrics
        if metric.kind in (MetricKind.MEAN, MetricKind.RATIO) and metric.winsorise is None
    }
    checks += [outliers(name, units.numbers[name]) for name in case.numbers if name in large]
    return tuple(checks)


def _randomised(case: Case, units: Units) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Return the arm of each of what was randomised, where it was first seen, and that row."""
    if not case.units.cluster:
        return units.arm, np.arange(len(units))
    _, first = np.unique(units.texts[case.units.cluster], return_index=True)
    return units.arm[first], first
