"""From units to what a metric is estimated from: columns that are cut, added up by cluster, and summed by arm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, NotEnoughData
from decision.records import FloatArray
from experiments.ab.arm_figure import ArmFigure, adjusted_figures
from experiments.ab.case import Case, Metric, MetricKind
from experiments.ab.clusters import by_cluster
from experiments.ab.moments import Moments, by_arm
from experiments.ab.outliers import cap_at_quantile
from experiments.ab.quantiles import quantile_figure
from experiments.ab.units import Units

_FEWEST = 5


@dataclass(frozen=True, eq=False)
class MetricColumns:
    """Rows of what was randomised: int[n] arm, the metric's columns and then its covariates, float[n] each."""

    metric: Metric
    arm: NDArray[np.integer]
    columns: tuple[FloatArray, ...]
    metric_columns: int
    label: NDArray[np.str_]
    cluster: NDArray[np.str_] | None

    def moments(self, arms: int) -> list[Moments]:
        """Return the moments of each arm."""
        return by_arm(self.columns, self.arm, arms)

    def where(self, rows: NDArray[np.bool_]) -> MetricColumns:
        """Return some of the rows."""
        return replace(
            self,
            arm=self.arm[rows],
            columns=tuple(column[rows] for column in self.columns),
            label=self.label[rows],
            cluster=None if self.cluster is None else self.cluster[rows],
        )

    def figures(self, arm: int) -> tuple[ArmFigure, ArmFigure]:
        """Return control's figure and that of the arm with this number. Raises `NotEnoughData`."""
        if self.metric.kind is MetricKind.QUANTILE:
            return self._quantile(0), self._quantile(arm)
        if self.metric.kind is MetricKind.PROPORTION:
            self._require_both_answers(arm)
        code = np.where(self.arm == arm, 1, np.where(self.arm == 0, 0, 2)).astype(np.int8)
        control, treatment, _ = by_arm(self.columns, code, 3)
        return adjusted_figures(control, treatment, metric_columns=self.metric_columns)

    def _require_both_answers(self, arm: int) -> None:
        """With fewer the interval of a share, which takes it to be normal, is too short."""
        for mine in (self.arm == 0, self.arm == arm):
            yes, units = (
                self.columns[0][mine].sum(),
                self.columns[1][mine].sum() if self.metric_columns == 2 else mine.sum(),
            )
            if min(yes, units - yes) < _FEWEST:
                raise NotEnoughData(
                    f"A share needs {_FEWEST} units of either answer in each arm, found {int(yes)} of {int(units):,}."
                )

    def _quantile(self, arm: int) -> ArmFigure:
        mine = self.arm == arm
        cluster = None if self.cluster is None else self.cluster[mine]
        return quantile_figure(self.columns[0][mine], self.metric.quantile, cluster)


def columns_of_metric(units: Units, case: Case, metric: Metric, label: str | None = None) -> MetricColumns:
    """Return a metric's columns, one row for each of what was randomised.

    `label` names a text column, a dimension or a stratum, that rows carry along; what was randomised must have one
    value.

    Raises
    ------
    InvalidInput : a proportion that is not 0 or 1; a cluster in two arms or with two labels.
    """
    named = [units.numbers[name] for name in metric.columns]
    if metric.kind is MetricKind.PROPORTION and not ((named[0] == 0) | (named[0] == 1)).all():
        raise InvalidInput(
            f"Expected 0 or 1 in {metric.columns[0]!r}, found other values.", hint='Use kind = "mean" for them.'
        )
    if metric.winsorise is not None:
        share = metric.winsorise
        named = [np.minimum(column, cap_at_quantile(column, share).at) for column in named]
    columns = [*named, *(units.numbers[name] for name in metric.covariates)]
    tags = units.texts[label] if label else np.zeros(len(units), dtype="U1")
    ids = units.texts[case.units.cluster] if case.units.cluster else None
    ratio = metric.kind is MetricKind.RATIO
    if ids is None or metric.kind is MetricKind.QUANTILE:
        return MetricColumns(metric, units.arm, tuple(columns), 1 + ratio, tags, ids)
    rows = by_cluster(ids, units.arm, columns)
    sums = [np.ascontiguousarray(column) for column in rows.sums.T]
    # A mean over units is the ratio of a cluster's sum and its size.
    together = sums if ratio else [sums[0], rows.size, *sums[1:]]
    return MetricColumns(metric, rows.arm, tuple(together), 2, _label_of_clusters(ids, tags), None)


def strata_of(columns: MetricColumns, arm: int) -> dict[str, Moments]:
    """Return the moments of one arm by label."""
    mine = columns.where(columns.arm == arm)
    return {str(name): _all(mine.where(mine.label == name)) for name in np.unique(mine.label)}


def _all(columns: MetricColumns) -> Moments:
    return by_arm(columns.columns, np.zeros(len(columns.arm), dtype=np.int8), 1)[0]


def _label_of_clusters(ids: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.str_]:
    _, first, place = np.unique(ids, return_index=True, return_inverse=True)
    if (labels[first][place] != labels).any():
        raise InvalidInput(
            "Expected one value of a dimension for everything in a cluster, found several.",
            hint="Segments and strata must be known before what was randomised came in.",
        )
    found: NDArray[np.str_] = labels[first]
    return found


def names_of_segments(labels: NDArray[np.str_], most: int) -> Sequence[str]:
    """Return the values of a dimension from the most common on, at most so many."""
    names, counts = np.unique(labels, return_counts=True)
    return [str(name) for name in names[np.argsort(-counts, kind="stable")][:most]]
