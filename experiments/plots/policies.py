"""Policies: what they are worth, what they give to whom, and how they get better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments.off_policy import Estimate
from experiments.off_policy.estimate import half_width, two_sided
from experiments.plots.style import DIM, INK, MARK, PALETTE, heading, own_style, panels, short


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
    heading(figure, title)
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
    heading(figure, "Who gets what? % of decisions, by action of highest value")
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
    heading(figure, title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.set_ylim(bottom=0)
    ax.set_xlim(0.5, max(lines.shape[1] for lines in curves.values()) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    figure.legend(frameon=False, loc="outside right upper")
    return figure
