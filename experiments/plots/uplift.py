"""How well uplift in repurchases is foreseen, one panel a treatment."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

from experiments.plots.style import A_ROW, DIM, INK, PALETTE, heading, own_style, panels, short
from experiments.uplift_metrics.calibration import Calibration
from experiments.uplift_metrics.curve import Curve


@own_style
def qini_curves(curves: Mapping[str, Curve]) -> Any:
    """Return Qini curves with their bands, one panel a treatment; the straight line is choosing at random."""
    figure, axes = panels(len(curves), width=3.4, height=3.7)
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
    heading(
        figure,
        "Does the ranking find those who gain?",
        "Dashed: as many at random. Band: 95 %. Qini: the area between the two.",
    )
    return figure


@own_style
def calibrations(found: Mapping[str, Calibration]) -> Any:
    """Return predicted against observed uplift by group of prediction, one panel a treatment."""
    figure, axes = panels(len(found), width=3.4, height=3.7)
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
    heading(
        figure,
        "Does a predicted uplift come true?",
        "Dashed: predicted = observed. Bars: 95 %. Each dot is a tenth of the customers.",
    )
    return figure
