"""What an analysis leaves in MLflow: its figures, its text, JSON and page, the case file, and the plots."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from decision.errors import NotFound
from decision.wiring import Home
from experiments import tracking
from experiments.ab.analysis import Analysis, MetricResult
from experiments.ab.evidence import Evidence
from experiments.ab.pictures import Pictures

ELSEWHERE = "encore-ab"
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Written:
    """An analysis as it is read: the page, the text of a terminal, and the JSON."""

    html: str
    text: str
    json: str


def experiment_of(home: Home) -> str:
    """Return the programme's experiment; outside of a programme one for all tests."""
    try:
        return tracking.model_name(home.programme())
    except NotFound:
        return ELSEWHERE


def log_analysis(
    analysis: Analysis, evidence: Evidence, pictures: Pictures, written: Written, *, experiment: str
) -> str:
    """Log an analysis as a run of MLflow and return its id."""
    tags = {"encore.step": "ab", "encore.state": analysis.state.value, "encore.verdict": _verdict(analysis)}
    name = f"ab {analysis.case.name}"
    with tracking.run_in(experiment, name, parameters=parameters_of(analysis), tags=tags) as mlflow:
        tracking.log_metrics(mlflow, metrics_of(analysis))
        mlflow.log_text(written.json, "analysis.json")
        mlflow.log_text(written.text + "\n", "analysis.txt")
        mlflow.log_text(written.html, "report.html")
        if evidence.case_text:
            mlflow.log_text(evidence.case_text, "case.toml")
        tracking.log_figures(mlflow, pictures.named())
        return str(mlflow.active_run().info.run_id)


def parameters_of(analysis: Analysis) -> Mapping[str, object]:
    """Return what was decided before looking."""
    case = analysis.case
    named = {
        "case": case.name,
        "plan": case.plan.kind.value,
        "units_planned": f"{case.plan.units:g}",
        "alpha": case.plan.alpha,
        "looks": ", ".join(f"{look:g}" for look in case.plan.looks) or "none",
        "correction": case.correction.value,
        "control": case.arms.control,
        "arms": ", ".join(case.arms.treatments),
        "metrics": ", ".join(f"{metric.name} ({metric.role})" for metric in case.metrics),
    }
    return {key: str(value)[:_LONGEST] for key, value in named.items()}


def metrics_of(analysis: Analysis) -> dict[str, float]:
    """Return effects, bounds, p-values, money and checks; effects only where the plan lets them be read."""
    found: dict[str, float] = {"sound": float(analysis.sound), "clear": float(analysis.clear)}
    found["too_early"] = float(analysis.too_early)
    for name, value in _entries(analysis):
        key, again = _key(name), 1
        while key in found:
            again += 1
            key = f"{_key(name)}_{again}"
        found[key] = value
    return {key: value for key, value in found.items() if -float("inf") < value < float("inf")}


def _entries(analysis: Analysis) -> Iterator[tuple[str, float]]:
    yield from ((f"units.{arm}", float(count)) for arm, count in analysis.counts.items())
    for check in analysis.checks:
        if check.p_value is not None:
            yield f"check.{check.name}.p", check.p_value
    if analysis.too_early:
        return
    for one in analysis.results:
        yield from _of_result(one)
    for arm, money in analysis.money.items():
        yield f"money.{arm}.net_per_unit", money.net_per_unit.estimate
        for bound in ("estimate", "low", "high"):
            yield f"money.{arm}.net_total_{bound}", getattr(money.net_total, bound)


def _of_result(one: MetricResult) -> Iterator[tuple[str, float]]:
    name = f"{one.metric.name}.{one.arm}"
    effect = one.absolute.effect
    yield from ((f"{name}.effect", effect.estimate), (f"{name}.low", effect.low), (f"{name}.high", effect.high))
    yield f"{name}.p", effect.p_value
    if one.adjusted_p_value is not None:
        yield f"{name}.p_corrected", one.adjusted_p_value
    if one.relative is not None:
        for bound in ("estimate", "low", "high"):
            yield f"{name}.relative_{bound}", getattr(one.relative.effect, bound)
    if one.guardrail is not None:
        yield f"{name}.worst", one.guardrail.worst


def _key(name: str) -> str:
    """Return a name that MLflow takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:200]


def _verdict(analysis: Analysis) -> str:
    return " ".join(verdict.sentence for verdict in analysis.verdicts)[:_LONGEST]
