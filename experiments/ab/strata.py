"""Post-stratification: the effect within strata, weighed by how common each is in both arms together.

Miratrix, Sekhon and Yu, "Adjusting treatment effect estimates by post-stratification in randomized experiments", 2013.
The interval is given the strata's sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from decision.errors import NotEnoughData
from experiments.ab.arm_figure import ArmFigure, adjusted_figures
from experiments.ab.effect import USUAL, Confidence, Effect, Spread, interval, require_digits
from experiments.ab.moments import Moments


@dataclass(frozen=True, slots=True)
class Stratified:
    """Both arms weighed to the same mixture of strata, and their difference."""

    control: ArmFigure
    treatment: ArmFigure
    effect: Effect


def post_stratified(
    control: Mapping[str, Moments],
    treatment: Mapping[str, Moments],
    *,
    metric_columns: int = 1,
    confidence: Confidence = USUAL,
) -> Stratified:
    """Return the effect over strata, adjusted by the covariates within each.

    Raises
    ------
    NotEnoughData : a stratum has fewer than two units of an arm; it says which.
    """
    names = sorted(control.keys() | treatment.keys())
    for name in names:
        few = min((arm[name].n if name in arm else 0) for arm in (control, treatment))
        if few < 2:
            raise NotEnoughData(
                f"Post-stratification needs two units of each arm in every stratum, found {few} in {name!r}.",
                hint="Put small strata together.",
            )
    n = sum(control[name].n + treatment[name].n for name in names)
    weights = {name: (control[name].n + treatment[name].n) / n for name in names}
    pairs = {name: adjusted_figures(control[name], treatment[name], metric_columns=metric_columns) for name in names}
    arms = [_weighed([(weights[name], pairs[name][k]) for name in names]) for k in (0, 1)]
    parts = [(weights[name] ** 2 * figure.variance, figure.n - 1) for name in names for figure in pairs[name]]
    total = sum(variance for variance, _ in parts)
    degrees = math.inf
    if confidence.spread is not Spread.NORMAL and total > 0:
        degrees = 1 / sum((variance / total) ** 2 / freedom for variance, freedom in parts)
    require_digits(max(abs(one.value) for one in arms), math.sqrt(total))
    effect = interval(arms[1].value - arms[0].value, math.sqrt(total), degrees, confidence)
    return Stratified(arms[0], arms[1], effect)


def _weighed(parts: list[tuple[float, ArmFigure]]) -> ArmFigure:
    return ArmFigure(
        sum(w * one.value for w, one in parts),
        sum(w * w * one.variance for w, one in parts),
        sum(one.n for _, one in parts),
        sum(w * one.raw for w, one in parts),
        sum(w * w * one.raw_variance for w, one in parts),
        sum(w * w * one.covariance for w, one in parts),
    )
