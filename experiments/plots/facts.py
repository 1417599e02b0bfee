"""Which facts move the gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.feature_effects import FactEffect
from experiments.plots.style import DIM, INK, LOSS, MARK, heading, own_style, panels, short

MOST = 12


@own_style
def feature_effects(effects: Sequence[FactEffect], *, unit: str) -> Any:
    """Return the strongest facts, each with the customers it moves down most and up most."""
    shown = effects[:MOST]
    figure, (ax,) = panels(1, width=8.6, height=1.5 + 0.42 * len(shown))
    reach = max((max(abs(e.down.effect.low), abs(e.up.effect.high)) for e in shown), default=1.0)
    for place, effect in zip(np.arange(len(shown))[::-1], shown, strict=True):
        ax.plot([effect.down.effect.value, effect.up.effect.value], [place, place], color=DIM, lw=1.2, zorder=1)
        for side, colour, align, step in ((effect.down, LOSS, "right", -1), (effect.up, MARK, "left", 1)):
            found = side.effect
            ax.plot([found.low, found.high], [place, place], color=colour, lw=3.2, alpha=0.45, solid_capstyle="round")
            ax.plot(found.value, place, "o", color=colour, ms=7)
            edge = (found.low if step < 0 else found.high) + step * 0.04 * reach
            ax.text(edge, place, short(side.who, 22), ha=align, va="center", fontsize=8.5, color=INK)
    ax.axvline(0.0, color=INK, lw=0.8)
    ax.set_xlim(-1.45 * reach, 1.45 * reach)
    ax.set_yticks(np.arange(len(shown))[::-1], [short(effect.fact, 40) for effect in shown])
    ax.set_ylim(-0.6, len(shown) - 0.4)
    ax.set_xlabel(f"moves the gain of the chosen treatment by, {unit} per decision")
    ax.grid(visible=False, axis="y")
    heading(
        figure,
        "Which facts move the gain, and which way?",
        "For whom each fact lowers the predicted gain most (left) and raises it most (right), against the average "
        "customer.\nThis is what the model does, other facts as they are. Bars: 95 % interval over sampled customers.",
    )
    return figure
