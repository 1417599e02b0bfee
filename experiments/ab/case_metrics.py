"""Reads one metric of a case."""

from __future__ import annotations

from decision.programme.section import Section, unknown
from experiments.ab.case import Margin, Metric, MetricKind, Role
from experiments.ab.effect import RelativeMethod
from experiments.ab.noninferiority import Better

_ANY = 1e12


def metric_of(name: str, section: Section, columns: tuple[str, ...]) -> Metric:
    """Return the metric of a table `[metrics.NAME]`; its mistakes are noted."""
    kind = MetricKind(section.text("kind", one_of=tuple(MetricKind)))
    role = Role(section.text("role", Role.SECONDARY, one_of=tuple(Role)))
    keys = ("numerator", "denominator") if kind is MetricKind.RATIO else ("column",)
    named = tuple(_column(section, key, columns) for key in keys)
    covariates = section.texts("covariates", known=columns, what="column")
    if kind is MetricKind.QUANTILE and covariates:
        section.wrong("covariates", "a quantile is not adjusted by covariates")
    metric = Metric(
        name,
        kind,
        role,
        named,
        covariates,
        section.number("winsorise", low=0.5, high=0.999999) if section.has("winsorise") else None,
        section.number("quantile", 0.5, low=0.001, high=0.999) if kind is MetricKind.QUANTILE else 0.5,
        section.number("window_days", 0.0, low=0.0, high=3650),
        Better(section.text("better", Better.HIGHER, one_of=tuple(Better))),
        _margin(section, role),
        RelativeMethod(section.text("relative", RelativeMethod.DELTA, one_of=tuple(RelativeMethod))),
    )
    if metric.winsorise is not None and kind in (MetricKind.PROPORTION, MetricKind.QUANTILE):
        section.wrong("winsorise", f"a {kind} has no large values to cut")
    section.finish()
    return metric


def _column(section: Section, key: str, columns: tuple[str, ...]) -> str:
    name = section.text(key)
    if isinstance(section.table.get(key), str) and name not in columns:
        section.wrong(key, unknown("column", name, columns))
    return name


def _margin(section: Section, role: Role) -> Margin | None:
    if role is not Role.GUARDRAIL:
        return None
    keys = [key for key in ("margin", "margin_percent") if section.has(key)]
    if len(keys) != 1:
        section.pass_over("margin", "margin_percent")
        section.wrong("margin", "a guardrail metric needs how much worse is tolerated: margin or margin_percent")
        return None
    relative = keys[0] == "margin_percent"
    section.pass_over("margin", "margin_percent")
    value = section.number(keys[0], low=1e-12, high=_ANY)
    return Margin(value / 100 if relative else value, relative)
