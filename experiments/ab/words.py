"""Numbers of an analysis as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from experiments.ab.analysis import MetricResult
from experiments.ab.case import Margin, MetricKind
from experiments.ab.effect import Effect
from experiments.ab.heterogeneity import Shrunk
from experiments.ab.money import Bounded
from experiments.ab.soundness import Finding

MARKS = {Finding.SOUND: "ok", Finding.CAREFUL: "CARE", Finding.UNSOUND: "FAILED"}


def plain(value: float) -> str:
    """Return four digits; large numbers with commas."""
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def signed(value: float) -> str:
    """Return four digits and the sign."""
    if math.isinf(value) or math.isnan(value):
        return "unbounded"
    return f"{value:+,.0f}" if abs(value) >= 10_000 else f"{value:+.4g}"


def percent(value: float) -> str:
    """Return a signed share in percent."""
    return "unbounded" if math.isinf(value) else f"{100 * value:+.3g} %"


def within(effect: Effect | Bounded | Shrunk) -> str:
    """Return `+0.77 [+0.485, +1.055]`."""
    return f"{signed(effect.estimate)} [{signed(effect.low)}, {signed(effect.high)}]"


def within_percent(effect: Effect) -> str:
    """Return a relative effect, `+118 % [+60 %, +176 %]`."""
    return f"{percent(effect.estimate)} [{percent(effect.low)}, {percent(effect.high)}]"


def points(effect: Effect) -> str:
    """Return an effect on a share in percentage points."""
    low, high = 100 * effect.low, 100 * effect.high
    return f"{100 * effect.estimate:+.3g} points [{low:+.3g}, {high:+.3g}]"


def figure(kind: MetricKind, value: float) -> str:
    """Return a figure of an arm, shares in percent."""
    return f"{100 * value:.4g} %" if kind is MetricKind.PROPORTION else plain(value)


def in_unit(kind: MetricKind, effect: Effect) -> str:
    """Return an absolute effect with its interval, of shares in percentage points."""
    return points(effect) if kind is MetricKind.PROPORTION else within(effect)


def shows(margin: Margin) -> Callable[[float], str]:
    """Return what writes figures that are compared with a margin: percent, or in the metric's unit."""
    show = percent if margin.relative else signed
    return lambda figure: "not known" if math.isnan(figure) else show(figure)


def change(result: MetricResult) -> str:
    """Return a metric's effect with its interval, absolute and relative."""
    absolute = in_unit(result.metric.kind, result.absolute.effect)
    return absolute if result.relative is None else f"{absolute}, {within_percent(result.relative.effect)}"


def sized(result: MetricResult) -> str:
    """Return a metric's effect for a sentence, relative where it can be: `+118 % (between +54.4 % and +181 %)`."""
    if result.relative is not None:
        effect, show = result.relative.effect, percent
    elif result.metric.kind is MetricKind.PROPORTION:
        effect, show = result.absolute.effect, _points
    else:
        effect, show = result.absolute.effect, signed
    return f"{show(effect.estimate)} (between {show(effect.low)} and {show(effect.high)})"


def corrected(p_value: float) -> str:
    """Return a corrected p-value, which may be too small for a double."""
    return f"{p_value:.2g}" if p_value else "below 1e-300"


def spoken(name: str) -> str:
    """Return the name of a metric or a column as words."""
    return name.replace("_", " ")


def listed(names: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])


def _points(value: float) -> str:
    return f"{100 * value:+.3g} points"
