"""What customers will do, in pictures: calibration, the grid, the RFM map, the second purchase, the hazard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np

from decision.records import FloatArray, IntArray
from experiments.behaviour import grid, rfm
from experiments.behaviour.second import SHARE, SecondPurchase
from experiments.behaviour.shares import wilson
from experiments.plots.style import DIM, INK, LOSS, MARK, NOTE, PALETTE, heading, own_style, panels

GROUPS = 10


@own_style
def customer_calibrations(found: Mapping[str, tuple[FloatArray, FloatArray]], *, below: str = "") -> Any:
    """Return predicted against observed shares in tenths of customers, a panel each of (predicted, came) [N]."""
    figure, axes = panels(len(found), width=3.5, height=3.9)
    for ax, (name, (predicted, came)), colour in zip(axes, found.items(), cycle(PALETTE), strict=False):
        for group in np.array_split(np.argsort(predicted, kind="stable"), GROUPS):
            if not len(group):
                continue
            x, n, share = 100 * predicted[group].mean(), len(group), came[group].mean()
            low, high = wilson(float(share), float(n))
            ax.plot([x, x], [100 * low, 100 * high], color=colour, lw=1.6)
            ax.plot(x, 100 * share, "o", color=colour, ms=5)
        ax.plot([0, 100], [0, 100], color=DIM, ls="--", lw=1)
        ax.set_xlim(0, 100)
        ax.set_ylim(0, 100)
        ax.set_title(
            f"within {name}\npredicted {100 * predicted.mean():.1f} %, came {100 * came.mean():.1f} %",
            loc="left",
            fontsize=9.5,
            color=INK,
        )
        ax.set_xlabel("predicted to buy, %")
    axes[0].set_ylabel("bought, %")
    heading(
        figure,
        "Does a predicted purchase come true?",
        f"Each dot is a tenth of the customers; bars: 95 %. Dashed: predicted = observed.\n{below}".strip(),
    )
    return figure


@own_style
def customer_grid(counts: FloatArray, *, names: Sequence[str] = grid.CHURNS) -> Any:
    """Return how many customers are in each cell of purchase probability (rows) and churn (columns), [2, 3]."""
    figure, (ax,) = panels(1, width=8.4, height=3.9)
    ax.grid(visible=False)
    ax.imshow(counts[::-1], cmap="BuGn", vmin=0.0, vmax=max(float(counts.max()), 1.0) * 1.15, aspect="auto")
    total = max(float(counts.sum()), 1.0)
    for (i, j), n in np.ndenumerate(counts[::-1]):
        cell = f"{grid.PROBABILITIES[1 - i]}-{grid.CHURNS[j]}"
        colour = "white" if n > 0.6 * counts.max() else INK
        ax.text(j, i - 0.1, f"{n:,.0f}  ({100 * n / total:.0f} %)", ha="center", fontsize=12, color=colour)
        ax.text(j, i + 0.18, grid.WHAT_TO_DO[cell], ha="center", fontsize=8, color=colour)
    ax.set_xticks(range(3), names)
    ax.set_yticks(range(2), ["likely to buy", "unlikely to buy"])
    ax.set_xlabel("churn, by her own rhythm")
    heading(
        figure,
        "Who comes by herself, and who is slipping away?",
        f"Likely: at least {100 * grid.LIKELY:.0f} % to buy within 90 days. Slipping and leaving: more than a third "
        "and two thirds that she does not buy within twice her usual gap.",
    )
    return figure


@own_style
def rfm_map(recency: IntArray, frequency: IntArray, spent: FloatArray) -> Any:
    """Return customers by steps of recency and frequency, and what they spent on average, with the segments' names."""
    figure, (ax,) = panels(1, width=9.2, height=5.4)
    ax.grid(visible=False)
    n = np.zeros((5, 5))
    money = np.zeros((5, 5))
    np.add.at(n, (5 - frequency, recency - 1), 1.0)
    np.add.at(money, (5 - frequency, recency - 1), spent)
    ax.imshow(n, cmap="BuGn", vmin=0.0, vmax=max(float(n.max()), 1.0) * 1.15, aspect="auto")
    for (i, j), customers in np.ndenumerate(n):
        place = next(name for name, r, f, _ in rfm.SEGMENTS if r[0] <= j + 1 <= r[1] and f[0] <= 5 - i <= f[1])
        colour = "white" if customers > 0.6 * n.max() else INK
        ax.text(j, i - 0.18, place.replace("_", " "), ha="center", fontsize=8, color=colour)
        ax.text(j, i + 0.08, f"{customers:,.0f}", ha="center", fontsize=11, color=colour)
        if customers:
            ax.text(j, i + 0.32, f"{money[i, j] / customers:,.0f} each", ha="center", fontsize=8, color=colour)
    ax.set_xticks(range(5), ["1  longest silent", "2", "3", "4", "5  latest"])
    ax.set_yticks(range(5), ["5  most often", "4", "3", "2", "1  once"])
    ax.set_xlabel("recency")
    ax.set_ylabel("frequency")
    heading(figure, "Who is who? Customers by recency and frequency", "each: average of what they have ordered so far.")
    return figure


@own_style
def rfm_migration(rows: Sequence[str], columns: Sequence[str], counts: IntArray) -> Any:
    """Return which share of each segment (rows) is in which one now (columns)."""
    kept = [i for i in range(len(rows)) if counts[i].sum()]
    shares = np.array([counts[i] / counts[i].sum() for i in kept])
    figure, (ax,) = panels(1, width=9.4, height=1.9 + 0.36 * len(kept))
    ax.grid(visible=False)
    ax.imshow(shares, cmap="BuGn", vmin=0.0, vmax=1.1, aspect="auto")
    for (i, j), share in np.ndenumerate(shares):
        if share >= 0.005:
            colour = "white" if share > 0.6 else INK
            ax.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=8.5, color=colour)
    plain = [name.replace("_", " ") for name in columns]
    ax.set_xticks(range(len(columns)), plain, rotation=35, ha="right", rotation_mode="anchor")
    labels = [f"{rows[i].replace('_', ' ')}  (n={int(counts[i].sum()):,})" for i in kept]
    ax.set_yticks(range(len(kept)), labels)
    ax.set_xlabel("now")
    heading(figure, "Who moved? % of each segment of before (rows), by segment of now")
    return figure


@own_style
def second_purchase_curve(found: SecondPurchase) -> Any:
    """Return the share of first-time buyers that has bought again, by day, with the day by which she should be back."""
    figure, (ax,) = panels(1, width=8.4, height=4.4)
    days = np.concatenate([[0.0], found.days])
    curves = [100 * np.concatenate([[0.0], one]) for one in (found.returned, found.low, found.high)]
    ax.fill_between(days, curves[1], curves[2], color=MARK, alpha=0.18, lw=0, step="post")
    ax.step(days, curves[0], color=MARK, lw=2, where="post")
    ax.axvspan(found.deadline_low, found.deadline_high, color=LOSS, alpha=0.15, lw=0)
    ax.axvline(found.deadline, color=LOSS, lw=1.4)
    ax.annotate(
        f"day {found.deadline} [{found.deadline_low}, {found.deadline_high}]:\n"
        f"{100 * SHARE:.0f} % of those who return are back",
        (found.deadline, 4),
        xytext=(8, 0),
        textcoords="offset points",
        color=NOTE,
        fontsize=9,
    )
    ax.set_xlim(0, float(days[-1]))
    ax.set_ylim(0, min(100.0, 1.1 * float(curves[2].max())))
    ax.set_xlabel("days since the first purchase")
    ax.set_ylabel("have bought again, %")
    heading(
        figure,
        "When does a second purchase come?",
        f"Kaplan-Meier over {found.customers:,} customers; bands: 95 %. "
        "Who is not back yet counts as long as she was seen.",
    )
    return figure


@own_style
def hazard_effects(effects: Sequence[tuple[str, float, float]]) -> Any:
    """Return facts with what the log-odds of a purchase are at a low (tenth) and a high (nine tenths) value of each."""
    figure, (ax,) = panels(1, width=8.6, height=1.4 + 0.36 * len(effects))
    ordered = sorted(effects, key=lambda one: abs(one[2] - one[1]))
    for place, (_, low, high) in enumerate(ordered):
        ax.plot([low, high], [place, place], color=DIM, lw=1.4, zorder=1)
        ax.plot(low, place, "o", color=LOSS, ms=7, label="low value (a tenth is below)" if place == 0 else None)
        ax.plot(high, place, "o", color=MARK, ms=7, label="high value (a tenth is above)" if place == 0 else None)
    ax.axvline(0.0, color=INK, lw=0.8)
    ax.set_yticks(range(len(ordered)), [name for name, _, _ in ordered])
    ax.set_xlabel("moves the log-odds of a purchase in a week by, against the middle customer")
    ax.legend(frameon=False, loc="lower right", fontsize=8.5)
    heading(
        figure,
        "What moves the hazard of a purchase?",
        "In the linear hazard, other facts as they are. Facts that go together share what they explain.",
    )
    return figure


@own_style
def figure_by_month(months: Sequence[str], series: Mapping[str, FloatArray]) -> Any:
    """Return one panel a figure over the months; NaN where a month has none."""
    figure, axes = panels(len(series), width=3.4, height=3.1)
    for ax, (name, values), colour in zip(axes, series.items(), cycle(PALETTE), strict=False):
        ax.plot(range(len(months)), values, color=colour, lw=2, marker="o", ms=4)
        step = max(1, len(months) // 4)
        ax.set_xticks(range(0, len(months), step), [months[i] for i in range(0, len(months), step)], fontsize=8)
        ax.set_ylim(bottom=0)
        ax.set_title(name, loc="left", fontsize=9.5, color=INK)
    heading(figure, "The shop's customers, month by month")
    return figure
