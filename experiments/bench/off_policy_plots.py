"""Draws coverage and power."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.bench.off_policy_coverage import CAREFUL, STUDENT, Covered
from experiments.bench.off_policy_gate import Promoted
from experiments.plots import style


def draw(coverage: Sequence[Covered], gate: Sequence[Promoted], folder: Path) -> None:
    """Write coverage.png and power.png."""
    _coverage(coverage).savefig(folder / "off_policy_coverage.png")
    _power(gate).savefig(folder / "off_policy_power.png")


@style.own_style
def _coverage(rows: Sequence[Covered]) -> Any:
    figure, (ax,) = style.panels(1, width=9, height=1.5 + 0.24 * len(rows))
    for place, row in enumerate(reversed(rows)):
        by_kind = row.all["dr"]
        ax.plot([by_kind[STUDENT], by_kind[CAREFUL]], [place, place], color=style.DIM, lw=1)
        ax.plot(by_kind[STUDENT], place, "o", color=style.PALETTE[1], label="Student's" if not place else None)
        ax.plot(by_kind[CAREFUL], place, "o", color=style.MARK, label="careful" if not place else None)
    labels = [
        f"{row.shop}, {row.n:,}: {row.logger}, {row.target} ({row.refused:.0%} refused)" for row in reversed(rows)
    ]
    ax.set_yticks(range(len(rows)), labels)
    ax.axvline(0.95, color=style.INK, lw=1)
    ax.set_xlabel("share of 95 % intervals of dr that hold the truth")
    ax.legend(frameon=False, loc="lower left")
    return figure


@style.own_style
def _power(rows: Sequence[Promoted]) -> Any:
    floors = sorted({row.floor for row in rows}, reverse=True)
    figure, axes = style.panels(len(floors), width=5, height=3.6)
    for ax, floor in zip(axes, floors, strict=True):
        for colour, n in zip(style.PALETTE, sorted({row.n for row in rows}), strict=False):
            drawn = [row for row in rows if (row.kind, row.floor, row.n) == ("other", floor, n)]
            line = sorted((row.gain, row.promoted) for row in drawn)
            ax.plot(*zip(*line, strict=True), "o-", color=colour, label=f"{n:,} decisions")
            ax.plot(*zip(*sorted((row.gain, row.possible) for row in drawn), strict=True), ":", color=colour)
        ax.axhline(0.05, color=style.INK, lw=1)
        ax.set_title(f"exploration floor {floor:g}")
        ax.set_xlabel("true gain over the champion (dotted: the most that is possible)")
        ax.set_ylabel("share promoted")
        ax.legend(frameon=False)
    return figure
