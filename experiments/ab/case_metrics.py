"""Metrics of a case, from what was declared in it or in `programme.toml`."""

from __future__ import annotations

from decision.programme.metrics import DeclaredMetric, declared_metric
from decision.programme.section import Section
from experiments.ab.case import Margin, Metric, MetricKind, Role
from experiments.ab.effect import RelativeMethod
from experiments.ab.noninferiority import Better


def metric_of(name: str, section: Section, columns: tuple[str, ...]) -> Metric:
    """Return the metric of a table `[metrics.NAME]`; its mistakes are noted."""
    return metric_as_declared(declared_metric(name, section, columns))


def metric_as_declared(metric: DeclaredMetric) -> Metric:
    """Return a declared metric as analyses know it."""
    return Metric(
        metric.name,
        MetricKind(metric.kind),
        Role(metric.role),
        metric.columns,
        metric.covariates,
        metric.winsorise,
        metric.quantile,
        metric.window_days,
        Better(metric.better),
        None if metric.margin is None else Margin(metric.margin, metric.relative_margin),
        RelativeMethod(metric.relative),
    )
