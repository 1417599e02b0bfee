"""Gain in money: by share treated, by budget, and by what was foreseen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.plots.style import DIM, INK, LOSS, MARK, heading, own_style, panels, short
from experiments.uplift_metrics.cost_curve import BudgetCurve, ShareCurve
from experiments.uplift_metrics.deciles import Part

THOUSAND = 1_000.0


@own_style
def budget_and_share(
    by_share: ShareCurve, by_budget: BudgetCurve, constants: Mapping[str, tuple[float, float]], *, unit: str
) -> Any:
    """Return gain against the share treated and against the budget spent, per 1,000 decisions.

    `constants` are (spend, gain) per decision of doing the same for everybody; the best three are shown.
    """
    figure, (left, right) = panels(2, width=5.4, height=4.5)
    share, gain = 100 * by_share.share, THOUSAND * by_share.gain
    left.fill_between(share, THOUSAND * by_share.low, THOUSAND * by_share.high, color=MARK, alpha=0.18, lw=0)
    left.plot(share, gain, color=MARK, lw=2)
    left.plot([0, 100], [0, gain[-1]], color=DIM, ls="--", lw=1)
    left.axhline(0.0, color=INK, lw=0.6)
    left.set_title("Treat more customers, best first", loc="left", fontsize=10, color=INK)
    left.set_xlabel("share of decisions treated, %\n(dashed: as many at random)")
    left.set_ylabel(f"gain over doing nothing, {unit} per 1,000 decisions")
    spend = THOUSAND * by_budget.spend
    right.fill_between(spend, THOUSAND * by_budget.low, THOUSAND * by_budget.high, color=MARK, alpha=0.18, lw=0)
    right.plot(spend, THOUSAND * by_budget.gain, color=MARK, lw=2, label="the model, best use of each budget")
    right.plot(spend[-1], THOUSAND * by_budget.gain[-1], "o", color=MARK, ms=7, label="the model, all that pays")
    best = sorted(constants, key=lambda name: -constants[name][1])[:3]
    for name, marker in zip(best, "sD^", strict=False):
        x, y = constants[name]
        right.plot(THOUSAND * x, THOUSAND * y, marker, color=DIM, ms=7, ls="", label=short(name, 40))
    right.axhline(0.0, color=INK, lw=0.6)
    right.set_title("Spend more, where it brings most first", loc="left", fontsize=10, color=INK)
    right.set_xlabel(f"spent on offers and contacts, {unit} per 1,000 decisions")
    right.set_xlim(left=min(0.0, float(spend.min())))
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside right center", fontsize=8.5)
    heading(
        figure,
        "What do more customers, or more budget, bring?",
        "Out of sample, doubly robust, after the cost of the offers. Bands: 95 %, by customer.",
    )
    return figure


@own_style
def deciles(parts: Sequence[Part], *, unit: str) -> Any:
    """Return observed gain by tenth of predicted gain, with intervals, and the prediction beside it."""
    figure, (ax,) = panels(1, width=8.0, height=4.4)
    places = np.arange(len(parts))
    observed = np.array([part.observed.value for part in parts])
    ends = np.array(
        [[part.observed.value - part.observed.low, part.observed.high - part.observed.value] for part in parts]
    )
    colours = [MARK if value >= 0 else LOSS for value in observed]
    ax.bar(places, observed, width=0.62, color=colours, alpha=0.55, label="observed, with 95 % interval")
    ax.errorbar(places, observed, yerr=ends.T, fmt="none", ecolor=INK, elinewidth=1.1, capsize=2.5)
    ax.plot(places, [part.predicted for part in parts], "D", color=INK, ms=5, label="predicted")
    ax.axhline(0.0, color=INK, lw=0.8)
    ax.set_xticks(places, [f"{100 * part.share:.0f} %" for part in parts])
    ax.set_xlabel("share of decisions: least predicted gain on the left, most on the right")
    ax.set_ylabel(f"gain of the best treatment\nover doing nothing, {unit} per decision")
    ax.grid(visible=False, axis="x")
    figure.legend(frameon=False, loc="outside right upper", fontsize=9)
    heading(
        figure,
        "Do those with the most predicted gain gain most?",
        "Out of sample, doubly robust, by customer. Each prediction is for the treatment that looks best, "
        "so it tends to be too high.",
    )
    return figure
