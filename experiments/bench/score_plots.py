"""Draws the scores of the uplift and the bandit benchmark: one panel a column, one row a peer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from experiments.bench.scores import Line
from experiments.plots import style

OURS = "encore"
LABELS_INCHES = 2.6


def uplift(lines: Sequence[Line], columns: Sequence[str]) -> Any:
    """Return the shares of headroom captured, the best at the largest size on top."""
    return _scores(
        lines,
        columns,
        title="Share of the headroom captured: 0 is the best action for everybody, 100 the oracle",
        xlabel="captured, %",
        at_least=-40.0,
    )


def bandit(lines: Sequence[Line], columns: Sequence[str]) -> Any:
    """Return the regrets, the least in the first scenario on top."""
    return _scores(
        lines,
        columns,
        title="Regret in % of acting uniformly at random: 0 is the oracle",
        xlabel="regret, %",
        at_least=0.0,
    )


@style.own_style
def _scores(lines: Sequence[Line], columns: Sequence[str], *, title: str, xlabel: str, at_least: float) -> Any:
    shown = [line for line in reversed(lines) if line.scores]
    figure, axes = style.panels(len(columns), width=3.0, height=1.6 + 0.29 * len(shown))
    figure.set_figwidth(max(LABELS_INCHES + 2.7 * len(columns), 9.0))
    for ax, column in zip(axes, columns, strict=True):
        for place, line in enumerate(shown):
            if column in line.scores:
                _draw(ax, line, column, place, at_least)
        ax.set_yticks(range(len(shown)), [line.label for line in shown] if ax is axes[0] else [])
        ax.set_ylim(-0.6, len(shown) - 0.4)
        ax.set_xlim(at_least - 3.0, 103.0)
        ax.axvline(0.0, color=style.DIM, lw=1)
        ax.set_xticks(range(-25 if at_least < 0.0 else 0, 101, 25))
        ax.set_title(column, loc="left", color=style.INK)
        ax.set_xlabel(xlabel)
    for label, line in zip(axes[0].get_yticklabels(), shown, strict=True):
        label.set_color(style.MARK if line.name == OURS else style.INK)
        label.set_fontweight("bold" if line.name == OURS else "normal")
    style.heading(
        figure,
        title,
        "Dot: mean over seeds; bar: its 95 % interval; ticks: seeds. At the right the mean; a triangle: outside.",
    )
    return figure


def _draw(ax: Any, line: Line, column: str, place: int, at_least: float) -> None:
    score = line.scores[column]
    colour = style.MARK if line.name == OURS else style.PALETTE[2]
    inside = [seed for seed in score.seeds if at_least <= seed <= 100.0]
    ax.plot(inside, [place] * len(inside), "|", color=colour, ms=8, alpha=0.5)
    if score.low is not None and score.high is not None:
        ends = [min(max(end, at_least), 100.0) for end in (score.low, score.high)]
        ax.plot(ends, [place, place], color=colour, lw=2.4, alpha=0.8, solid_capstyle="round")
    weight = "bold" if line.name == OURS else "normal"
    right = ax.get_yaxis_transform()
    ax.text(1.02, place, f"{score.mean:.0f}", transform=right, va="center", color=colour, fontsize=8.5, weight=weight)
    if score.mean < at_least:
        ax.plot(at_least, place, "<", color=colour, ms=6)
    else:
        ax.plot(min(score.mean, 100.0), place, "o" if score.mean <= 100.0 else ">", color=colour, ms=6)
