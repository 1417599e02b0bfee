"""Treated minus control among some customers, with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from experiments.off_policy.estimate import half_width, two_sided
from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.clusters import members, standard_error
from experiments.uplift_metrics.trial import BoolArray, Trial


@dataclass(frozen=True, slots=True)
class Difference:
    """An observed uplift in outcome units per customer, with a two-sided interval."""

    uplift: float
    standard_error: float
    low: float
    high: float
    treated: int
    control: int


def difference(trial: Trial, share: FloatArray, *, level: float) -> Difference:
    """Difference of weighted means (Hajek 1971) with Welch's unpooled standard error.

    Where customers have several rows, the standard error is the cluster-robust one of the means' influence
    (Liang and Zeger 1986).

    Parameters
    ----------
    share : float[n] in [0, 1], how much of each customer belongs to those compared.

    Raises
    ------
    NotEnoughData : fewer than two treated or two control customers belong.
    """
    inside = share > 0
    groups = [inside & trial.treated, inside & ~trial.treated]
    sizes = [int(group.sum()) for group in groups]
    if min(sizes) < 2:
        raise NotEnoughData(
            f"An uplift needs 2 treated and 2 control customers, found {sizes[0]} and {sizes[1]}.",
            hint="Use fewer bins or a larger share of the customers.",
        )
    weight = trial.weight * share
    mean, variance = zip(*(_weighted(trial.outcome[group], weight[group]) for group in groups), strict=True)
    error, degrees = math.sqrt(sum(variance)), _welch(variance, sizes)
    if trial.customer is not None:
        error, degrees = _clustered(trial, weight, groups, mean)
    half = half_width(error, degrees, two_sided(level))
    uplift = mean[0] - mean[1]
    return Difference(uplift, error, uplift - half, uplift + half, sizes[0], sizes[1])


def _weighted(outcome: FloatArray, weight: FloatArray) -> tuple[float, float]:
    n, total = len(outcome), float(weight.sum())
    mean = float(weight @ outcome) / total
    spread = weight * (outcome - mean)
    return mean, n / (n - 1) * float(spread @ spread) / total**2


def _clustered(trial: Trial, weight: FloatArray, groups: list[BoolArray], mean: tuple[float, ...]) -> tuple[float, int]:
    influence = np.zeros(len(trial))
    for sign, group, centre in zip((1.0, -1.0), groups, mean, strict=True):
        influence[group] = sign * weight[group] * (trial.outcome[group] - centre) / float(weight[group].sum())
    inside = groups[0] | groups[1]
    error, clusters = standard_error(influence[inside] * int(inside.sum()), members(trial.member[inside], inside.sum()))
    return error, clusters - 1


def _welch(variance: tuple[float, ...], sizes: list[int]) -> int:
    parts = sum(v**2 / (n - 1) for v, n in zip(variance, sizes, strict=True))
    return max(int(sum(variance) ** 2 / parts), 1) if parts > 0 else sum(sizes) - 2
