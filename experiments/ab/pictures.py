"""The plots of an analysis, by the name under which a page shows them and MLflow keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.ab.analysis import Analysis, MetricResult, Segments
from experiments.ab.case import Metric, MetricKind
from experiments.ab.evidence import Evidence
from experiments.ab.noninferiority import Better
from experiments.ab.words import spoken
from experiments.pages import Picture
from experiments.plots import effects as plots


@dataclass(frozen=True, slots=True)
class Pictures:
    """What is drawn; `over_time` and `distributions` by metric, `segments` by (metric, dimension)."""

    forest: Picture | None
    over_time: dict[str, Picture]
    distributions: dict[str, Picture]
    segments: dict[tuple[str, str], Picture]

    def named(self) -> dict[str, Any]:
        """Return all figures of matplotlib, as they are wide, under names for files."""
        return {
            **({"effects": self.forest.wide} if self.forest is not None else {}),
            **{f"over_time_{_file(name)}": picture.wide for name, picture in self.over_time.items()},
            **{f"distribution_{_file(name)}": picture.wide for name, picture in self.distributions.items()},
            **{f"segments_{_file(' '.join(key))}": picture.wide for key, picture in self.segments.items()},
        }


def pictures_of(analysis: Analysis, evidence: Evidence) -> Pictures:
    """Return the plots; none while it is too early."""
    if analysis.too_early:
        return Pictures(None, {}, {}, {})
    metrics = {metric.name: metric for metric in analysis.case.metrics}
    over_time = {
        name: _both(
            plots.effect_over_time,
            [one for one in evidence.over_time if one.metric.name == name],
            unit=unit_of(metrics[name]),
            scale=scale_of(metrics[name]),
        )
        for name in dict.fromkeys(one.metric.name for one in evidence.over_time)
    }
    segments = {
        (name, dimension): _both(
            plots.by_segment,
            [(one.arm, one.effects) for one in parts],
            unit=unit_of(metrics[name]),
            scale=scale_of(metrics[name]),
        )
        for (name, dimension), parts in segments_together(analysis).items()
    }
    return Pictures(
        _forest(analysis),
        over_time,
        {one.metric.name: _both(plots.distribution, one) for one in evidence.distributions},
        segments,
    )


def segments_together(analysis: Analysis) -> dict[tuple[str, str], Sequence[Segments]]:
    """Return the effects of all arms by (metric, dimension)."""
    found: dict[tuple[str, str], list[Segments]] = {}
    for one in analysis.segments:
        found.setdefault((one.metric, one.effects.dimension), []).append(one)
    return dict(found)


def scale_of(metric: Metric) -> float:
    """Return what a metric's effects are multiplied by for people."""
    return 100.0 if metric.kind is MetricKind.PROPORTION else 1.0


def unit_of(metric: Metric) -> str:
    """Return in which unit its effects are then."""
    return "percentage points" if metric.kind is MetricKind.PROPORTION else f"change of {spoken(metric.name)}"


def _both(draw: Callable[..., Any], found: Any, **named: Any) -> Picture:
    return Picture(draw(found, **named), draw(found, **named, narrow=True))


def _forest(analysis: Analysis) -> Picture | None:
    by_metric: dict[str, list[MetricResult]] = {}
    for result in analysis.results:
        by_metric.setdefault(result.metric.name, []).append(result)
    if not by_metric:
        return None
    return _both(plots.forest, [(_absolute(results), _relative(results)) for results in by_metric.values()])


def _absolute(results: Sequence[MetricResult]) -> plots.Strip:
    metric = results[0].metric
    scale = scale_of(metric)
    bars = [
        plots.Bar(one.arm, scale * effect.estimate, scale * effect.low, scale * effect.high)
        for one in results
        for effect in [one.absolute.effect]
    ]
    title = f"{spoken(metric.name)} ({metric.role})"
    return plots.Strip(title, unit_of(metric), bars, _tolerated(metric, relative=False, scale=scale))


def _relative(results: Sequence[MetricResult]) -> plots.Strip | None:
    bars = [
        plots.Bar(one.arm, 100 * effect.estimate, 100 * effect.low, 100 * effect.high)
        for one in results
        if one.relative is not None
        for effect in [one.relative.effect]
    ]
    metric = results[0].metric
    return (
        plots.Strip("", "relative to control, %", bars, _tolerated(metric, relative=True, scale=100)) if bars else None
    )


def _tolerated(metric: Metric, *, relative: bool, scale: float) -> float | None:
    """Return where harm begins on an axis of this kind."""
    if metric.margin is None or metric.margin.relative is not relative:
        return None
    return scale * metric.margin.tolerated * (-1 if metric.better is Better.HIGHER else 1)


def _file(name: str) -> str:
    """Return a name that a file can have."""
    return "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in name)[:80]
