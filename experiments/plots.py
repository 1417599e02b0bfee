"""Plots for people: each function returns a matplotlib figure and draws on no global state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from typing import Any, ParamSpec

import numpy as np

from decision.records import FloatArray
from experiments.off_policy import Estimate
from experiments.off_policy.estimate import half_width, two_sided
from experiments.uplift_metrics.calibration import Calibration
from experiments.uplift_metrics.curve import Curve

P = ParamSpec("P")
A_ROW = 5
INK, MARK, DIM = "#1d2430", "#1f6f5c", "#9aa5b5"
PALETTE = ("#1f6f5c", "#c2552d", "#3b6ea5", "#8a5a9e", "#b08a1e", "#5b6675", "#a03b5c", "#4c9a8b")


def own_style(draw: Callable[P, Any]) -> Callable[P, Any]:
    """Draw in our own style: causalml sets matplotlib's global one when it is imported."""

    @wraps(draw)
    def drawn(*arguments: P.args, **named: P.kwargs) -> Any:
        import matplotlib

        with matplotlib.rc_context({**matplotlib.rcParamsDefault, "font.size": 9.5, "axes.titlesize": 10.5}):
            return draw(*arguments, **named)

    return drawn


def panels(n: int, *, width: float, height: float) -> tuple[Any, list[Any]]:
    """Return a figure and `n` axes, at most five in a row; sizes in inches, for one panel."""
    from matplotlib.figure import Figure

    columns = min(n, A_ROW)
    rows = -(-n // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained", dpi=130, facecolor="white")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[n:]:
        ax.remove()
    for ax in axes[:n]:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.2)
    return figure, axes[:n]


def short(name: str, longest: int) -> str:
    """Return a name of at most `longest` characters; what is left out is in the middle, for names that end alike."""
    if len(name) <= longest:
        return name
    tail = longest // 3
    return f"{name[: longest - tail - 1]}…{name[-tail:]}"


@own_style
def policy_values(values: Mapping[str, Estimate], *, title: str, unit: str, marked: Sequence[str]) -> Any:
    """Return policies with their values and intervals, the best on top; `marked` ones stand out."""
    names = sorted(values, key=lambda name: values[name].value)
    figure, (ax,) = panels(1, width=8.5, height=1.4 + 0.28 * len(names))
    for place, name in enumerate(names):
        found = values[name]
        colour = MARK if name in marked else DIM
        ax.plot([found.low, found.high], [place, place], color=colour, lw=2.4, solid_capstyle="round")
        ax.plot(found.value, place, "o", color=colour, ms=6)
    ax.set_yticks(range(len(names)), [short(name, 45) for name in names])
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel(f"{unit} per decision, 95 % interval")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, color=INK)
    return figure


@own_style
def qini_curves(curves: Mapping[str, Curve]) -> Any:
    """Return Qini curves with their bands, one panel a treatment; the straight line is choosing at random."""
    figure, axes = panels(len(curves), width=3.4, height=3.4)
    for ax, (name, curve), colour in zip(axes, curves.items(), cycle(PALETTE), strict=False):
        ax.fill_between(100 * curve.fraction, 100 * curve.low, 100 * curve.high, color=colour, alpha=0.18, lw=0)
        ax.plot(100 * curve.fraction, 100 * curve.gain, color=colour, lw=2)
        ax.plot([0, 100], [0, 100 * curve.gain[-1]], color=DIM, ls="--", lw=1)
        interval = f"[{100 * curve.above_random_low:.2f}, {100 * curve.above_random_high:.2f}]"
        ax.set_title(
            f"{short(name, 36)}\nQini {100 * curve.above_random:.2f} {interval}", loc="left", fontsize=9.5, color=INK
        )
        ax.set_xlabel("customers treated, best first, %")
    for ax in axes[::A_ROW]:
        ax.set_ylabel("repurchases added per 100 customers")
    return figure


@own_style
def calibrations(found: Mapping[str, Calibration]) -> Any:
    """Return predicted against observed uplift by group of prediction, one panel a treatment."""
    figure, axes = panels(len(found), width=3.4, height=3.4)
    for ax, (name, one), colour in zip(axes, found.items(), cycle(PALETTE), strict=False):
        predicted = [100 * part.predicted for part in one.bins]
        for x, part in zip(predicted, one.bins, strict=True):
            ax.plot([x, x], [100 * part.observed.low, 100 * part.observed.high], color=colour, lw=1.6)
        ax.plot(predicted, [100 * part.observed.uplift for part in one.bins], "o", color=colour, ms=5)
        edge = [min(predicted), max(predicted)]
        ax.plot(edge, edge, color=DIM, ls="--", lw=1)
        error = f"{100 * one.expected_error:.2f} (chance alone {100 * one.error_by_chance:.2f})"
        ax.set_title(f"{short(name, 36)}\nerror {error}", loc="left", fontsize=9.5, color=INK)
        ax.set_xlabel("predicted uplift, points")
    for ax in axes[::A_ROW]:
        ax.set_ylabel("observed uplift in repurchase, points")
    return figure


@own_style
def who_gets_what(shares: FloatArray, *, rows: Sequence[str], columns: Sequence[str], sizes: Sequence[int]) -> Any:
    """Return a map of which share [rows, columns] of each group of customers gets which action."""
    columns, rows = [short(column, 36) for column in columns], [short(row, 36) for row in rows]
    # At 55 degrees a letter of a label takes 0.06 inches of height.
    below = 0.06 * max(len(column) for column in columns)
    figure, (ax,) = panels(1, width=4.2 + 0.6 * len(columns), height=0.9 + below + 0.27 * len(rows))
    ax.grid(visible=False)
    ax.imshow(shares, cmap="BuGn", vmin=0.0, vmax=max(float(shares.max()), 0.01), aspect="auto")
    for i, j in np.ndindex(shares.shape):
        if shares[i, j] >= 0.01:
            colour = "white" if shares[i, j] > 0.6 * shares.max() else INK
            ax.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(len(columns)), columns, rotation=55, ha="right", rotation_mode="anchor", fontsize=8)
    ax.set_yticks(range(len(rows)), [f"{row}  (n={n:,})" for row, n in zip(rows, sizes, strict=True)], fontsize=8)
    figure.suptitle("Who gets what: % of customers, by their action of highest value", fontsize=10.5, color=INK)
    return figure


@own_style
def regret_over_time(curves: Mapping[str, FloatArray], *, title: str, xlabel: str, ylabel: str) -> Any:
    """Return one line a policy, [seeds, T] each: the mean over seeds, with a band of its 95 % interval."""
    from matplotlib.ticker import MaxNLocator

    figure, (ax,) = panels(1, width=9.5, height=4.4)
    for (name, lines), colour in zip(curves.items(), cycle(PALETTE), strict=False):
        mean = lines.mean(axis=0)
        x = np.arange(1, len(mean) + 1)
        ax.plot(x, mean, color=colour, lw=2.2, marker="o", ms=4, label=name)
        if len(lines) > 1:
            quantile = half_width(1.0, len(lines) - 1, two_sided(0.95))
            half = quantile * lines.std(axis=0, ddof=1) / np.sqrt(len(lines))
            ax.fill_between(x, mean - half, mean + half, color=colour, alpha=0.15, lw=0)
    figure.suptitle(title, x=0.01, ha="left", fontsize=10.5, color=INK)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_ylim(bottom=0)
    ax.set_xlim(0.5, max(lines.shape[1] for lines in curves.values()) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(frameon=False, loc="outside right upper")
    return figure
