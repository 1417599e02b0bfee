"""The four groups, for marketers: how many there seem to be, and what is sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.plots.style import DIM, INK, MARK, heading, own_style, panels
from experiments.uplift_metrics.four_groups import Kind, Segment, Thresholds

NAMES = {
    Kind.PERSUADABLE: "persuadables\ncome back because of it",
    Kind.SURE_THING: "sure things\ncome back anyway",
    Kind.LOST_CAUSE: "lost causes\nstay away anyway",
    Kind.SLEEPING_DOG: "sleeping dogs\nstay away because of it",
}


@own_style
def four_groups(segments: Sequence[Segment], thresholds: Thresholds) -> Any:
    """Return shares of the predicted groups, the uplift seen in each, and the bounds on the true shares."""
    figure, (left, middle, right) = panels(3, width=4.0, height=4.0)
    places = np.arange(len(segments))[::-1]
    _bars(left, places, [segment.share for segment in segments])
    left.set_title("The model puts so many here", loc="left", fontsize=10, color=INK)
    left.set_xlabel("share of decisions, %")
    left.set_xlim(0, 100)
    left.set_yticks(places, [NAMES[segment.kind] for segment in segments])
    for place, segment in zip(places, segments, strict=True):
        if segment.share.value > 0.0:
            middle.plot(100 * segment.predicted, place, "D", color=INK, ms=5)
        if segment.observed is not None:
            ends = [100 * segment.observed.low, 100 * segment.observed.high]
            middle.plot(ends, [place, place], color=MARK, lw=2.4, solid_capstyle="round")
            middle.plot(100 * segment.observed.value, place, "o", color=MARK, ms=7)
    middle.axvline(0.0, color=INK, lw=0.8)
    middle.set_title("Uplift there: seen ●, predicted ◆", loc="left", fontsize=10, color=INK)
    middle.set_xlabel("repurchases per 100 decisions")
    for place, segment in zip(places, segments, strict=True):
        low, high = segment.truth.low, segment.truth.high
        right.plot([100 * max(low.low, 0.0), 100 * min(high.high, 1.0)], [place, place], color=DIM, lw=2)
        right.plot(
            [100 * max(low.value, 0.0), 100 * min(high.value, 1.0)],
            [place, place],
            color=MARK,
            lw=8,
            alpha=0.6,
            solid_capstyle="butt",
        )
        from_to = [100 * min(max(end, 0.0), 1.0) for end in (low.value, high.value)]
        inside = from_to[0] < 60
        right.text(
            100 * min(high.high, 1.0) + 2 if inside else 100 * low.low - 2,
            place,
            f"{from_to[0]:.1f} to {from_to[1]:.1f} %",
            ha="left" if inside else "right",
            va="center",
            fontsize=9.5,
            color=INK,
        )
    right.set_title("The true share lies in here", loc="left", fontsize=10, color=INK)
    right.set_xlabel("share of decisions, % (thin: 95 %)")
    right.set_xlim(0, 100)
    for ax in (middle, right):
        ax.set_yticks(places, [""] * len(segments))
    for ax in (left, middle, right):
        ax.set_ylim(-0.6, len(segments) - 0.4)
    heading(
        figure,
        "Who is moved by the best treatment, and who isn't?",
        f"Groups by prediction: persuadable or sleeping dog from a change of {100 * thresholds.noticeable:.2g} points "
        f"on; of the others, a sure thing from {100 * thresholds.sure:.2g} % untreated repurchase on.\n"
        "Nobody is seen both treated and untreated, so a single customer's group can't be known, and the true shares "
        "only between bounds.",
    )
    return figure


def _bars(ax: Any, places: np.ndarray, shares: Sequence[Any]) -> None:
    values = np.array([100 * share.value for share in shares])
    ax.barh(places, values, height=0.5, color=MARK, alpha=0.55)
    for place, value, share in zip(places, values, shares, strict=True):
        low, high = 100 * max(share.low, 0.0), 100 * min(share.high, 1.0)
        ax.plot([low, high], [place, place], color=INK, lw=1.2)
        ax.text(max(value, high) + 2, place, f"{value:.0f} %", va="center", fontsize=9.5, color=INK)
