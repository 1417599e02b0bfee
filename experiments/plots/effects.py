"""An A/B test in pictures: effects with their intervals, over time, by segment, and what lies behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from experiments.ab.distributions import Distribution
from experiments.ab.heterogeneity import Heterogeneity
from experiments.ab.over_time import Series
from experiments.plots.style import DIM, INK, LOSS, NOTE, own_style, panels, short

# Told apart without colour too: by marker and by line.
ARMS = ("#2b5f9e", "#b3730f", "#7a4a94", "#1f6f5c", "#a03b5c")
MARKERS = ("o", "s", "D", "^", "v")
LINES = ("-", "--", "-.", ":", (0, (5, 1)))
LONGEST = 26
# Inches.
WIDTH, NARROW = 9.2, 4.4


@dataclass(frozen=True, slots=True)
class Bar:
    """An estimate with its interval, in the unit of its axis; ends that are not finite are drawn as arrows."""

    name: str
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Strip:
    """The bars of a metric on one axis. `tolerated` is where a guardrail metric has a margin, on the side of harm."""

    title: str
    unit: str
    bars: Sequence[Bar]
    tolerated: float | None = None


@own_style
def forest(strips: Sequence[tuple[Strip, Strip | None]], *, narrow: bool = False) -> Any:
    """Return effects with intervals: a row for each metric, absolute on the left and relative on the right.

    A narrow figure has the relative ones below, as all here have what is beside one another elsewhere.
    """
    from matplotlib.figure import Figure

    rows = [[strip] for pair in strips for strip in pair if strip is not None] if narrow else strips
    heights = [0.75 + 0.34 * len(row[0].bars) for row in rows if row[0] is not None]
    size = (NARROW if narrow else WIDTH, sum(heights) + 0.3)
    figure = Figure(figsize=size, layout="constrained", dpi=130, facecolor="white")
    axes = figure.subplots(len(rows), len(rows[0]), squeeze=False, gridspec_kw={"height_ratios": heights})
    for places, row in zip(axes, rows, strict=True):
        for ax, strip in zip(places, row, strict=True):
            if strip is None:
                ax.axis("off")
            else:
                _strip(ax, strip)
    return figure


def _strip(ax: Any, strip: Strip) -> None:
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.grid(axis="x", alpha=0.25)
    ax.axvline(0, color=INK, lw=1)
    ends = [end for bar in strip.bars for end in (bar.low, bar.high, bar.estimate) if np.isfinite(end)]
    ends += [0.0, *([strip.tolerated] if strip.tolerated is not None else [])]
    room = 0.06 * (max(ends) - min(ends) or 1.0)
    left, right = min(ends) - room, max(ends) + room
    for k, (bar, colour, marker) in enumerate(zip(strip.bars, cycle(ARMS), cycle(MARKERS), strict=False)):
        low, high = (bar.low if np.isfinite(bar.low) else left), (bar.high if np.isfinite(bar.high) else right)
        ax.plot([low, high], [k, k], color=colour, lw=2.2, solid_capstyle="butt")
        told = bar.low > 0 or bar.high < 0
        ax.plot(bar.estimate, k, marker, color=colour, ms=7, mfc=colour if told else "white", mew=1.6)
    if strip.tolerated is not None:
        ax.axvline(strip.tolerated, color=LOSS, lw=1.4, ls="--")
        edge = left if strip.tolerated < 0 else right
        ax.axvspan(min(edge, strip.tolerated), max(edge, strip.tolerated), color=LOSS, alpha=0.1, lw=0)
    ax.set_xlim(left, right)
    ax.set_ylim(len(strip.bars) - 0.5, -0.5)
    ax.set_yticks(range(len(strip.bars)), [short(bar.name, LONGEST) for bar in strip.bars])
    ax.tick_params(axis="y", length=0)
    ax.set_title(short(strip.title, 44), loc="left", fontsize=10, color=INK)
    ax.set_xlabel(strip.unit, fontsize=8.5, color=NOTE)


@own_style
def effect_over_time(series: Sequence[Series], *, unit: str, scale: float = 1.0, narrow: bool = False) -> Any:
    """Return the effect by day with its always-valid band, a panel for each series; values are times `scale`."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    figure, axes = _in_pairs(len(series), 3.4, narrow)
    for ax, one, colour in zip(axes, series, cycle(ARMS), strict=False):
        days = [point.day for point in one.points]
        middle, low, high = (
            scale * np.array([getattr(point.effect, name) for point in one.points])
            for name in ("estimate", "low", "high")
        )
        ax.axhline(0, color=INK, lw=1)
        ax.fill_between(days, low, high, color=colour, alpha=0.18, lw=0)
        ax.plot(days, middle, "o-", color=colour, ms=3.5, lw=1.6)
        if len(days) == 1:
            ax.vlines(days, low, high, color=colour, lw=2.2)
        ax.set_ylim(*_seen(low, high))
        locator = AutoDateLocator(minticks=2, maxticks=7)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        ax.set_title(short(one.arm, 40), loc="left", color=INK)
    for ax in axes if narrow else axes[:1]:
        ax.set_ylabel(unit)
    return figure


def _seen(low: Any, high: Any) -> tuple[float, float]:
    """Return limits that the first, hardly known days don't stretch."""
    last = max(len(low) // 3, 1)
    bottom, top = min(float(low[-last:].min()), 0.0), max(float(high[-last:].max()), 0.0)
    room = 0.35 * (top - bottom or 1.0)
    return max(bottom - room, float(min(low.min(), 0)) - 0.1 * room), min(
        top + room, float(max(high.max(), 0)) + 0.1 * room
    )


@own_style
def distribution(found: Distribution, *, narrow: bool = False) -> Any:
    """Return a metric's distribution by arm: the share of zeros on the left, all else on the right."""
    from matplotlib.figure import Figure

    zeros, rest = bool(found.zero.any()), bool(len(found.edges))
    ratios = [1.0, 2.4] if zeros and rest else [1.0]
    height = max(3.4, 1.2 + 0.34 * len(found.arms))
    size = (NARROW, height * sum(ratios) / max(ratios)) if narrow else (WIDTH, height)
    figure = Figure(figsize=size, layout="constrained", dpi=130)
    shape = (len(ratios), 1) if narrow else (1, len(ratios))
    along = {"height_ratios" if narrow else "width_ratios": ratios}
    axes = list(figure.subplots(*shape, squeeze=False, gridspec_kw=along).flat)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.2)
    colours = [DIM, *(colour for _, colour in zip(found.arms[1:], cycle(ARMS), strict=False))]
    if zeros or not rest:
        ax = axes[0]
        ax.barh(range(len(found.arms)), 100 * found.zero, color=colours, height=0.6)
        for k, share in enumerate(found.zero.tolist()):
            ax.text(100 * share, k, f" {100 * share:.2f} %", va="center", fontsize=8.5, color=INK)
        ax.set_yticks(range(len(found.arms)), [short(name, LONGEST) for name in found.arms])
        ax.set_ylim(len(found.arms) - 0.5, -0.5)
        ax.set_xlim(0, max(float(100 * found.zero.max()), 1e-9) * 1.3)
        ax.set_xlabel("units with 0, %")
    if rest:
        ax = axes[-1]
        for name, shares, colour, line in zip(found.arms, found.shares, colours, cycle(LINES), strict=False):
            ax.stairs(100 * shares, found.edges, color=colour, lw=1.8, ls=line, label=short(name, LONGEST))
        ax.set_xlabel(short(found.metric.name, 40) + (", where it isn't 0" if zeros else ""))
        ax.set_ylabel("units, %")
        ax.set_ylim(bottom=0)
        ax.legend(frameon=False, fontsize=8.5)
    return figure


@own_style
def by_segment(
    found: Sequence[tuple[str, Heterogeneity]], *, unit: str, scale: float = 1.0, narrow: bool = False
) -> Any:
    """Return the effect in each segment, shrunk with its interval, and hollow in grey what it is by itself.

    A panel for each (arm, effects).
    """
    most = max(len(effects.segments) for _, effects in found)
    figure, axes = _in_pairs(len(found), 1.4 + 0.42 * most, narrow)
    for ax, (arm, effects) in zip(axes, found, strict=True):
        ax.axvline(0, color=INK, lw=1)
        ax.axvline(scale * effects.common, color=DIM, lw=1.4, ls="--", label="all alike")
        for k, one in enumerate(effects.segments):
            ax.plot([scale * one.low, scale * one.high], [k, k], color=ARMS[0], lw=2.4, solid_capstyle="butt")
            ax.plot(scale * one.estimate, k, "o", color=ARMS[0], ms=7, label=None if k else "shrunk")
            own, place = one.own, k + 0.26
            ax.plot([scale * own.low, scale * own.high], [place, place], color=DIM, lw=1.2)
            ax.plot(scale * own.estimate, place, "s", color=DIM, mfc="white", ms=5, label=None if k else "by itself")
        ax.set_yticks(range(len(effects.segments)), [short(one.segment, LONGEST) for one in effects.segments])
        ax.set_ylim(len(effects.segments) - 0.4, -0.6)
        ax.set_title(short(arm, 40), loc="left", color=INK)
        ax.set_xlabel(unit, fontsize=8.5, color=NOTE)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper right", ncols=3, frameon=False, fontsize=8.5)
    return figure


def _in_pairs(n: int, height: float, narrow: bool) -> tuple[Any, list[Any]]:
    """Return a figure of one width with `n` axes, one or two in a row."""
    if narrow:
        return panels(n, width=NARROW, height=height, in_a_row=1)
    return panels(n, width=WIDTH / min(n, 2), height=height, in_a_row=2)
