"""Complaints by department and kind, and the products that stand out, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.complaints.findings import ANY, Findings
from experiments.complaints.rates import FEWEST_REVIEWS, Verdict
from experiments.plots.style import DIM, INK, LOSS, heading, own_style, panels, short

MOST_PRODUCTS = 25


@own_style
def by_department(found: Findings) -> Any:
    """Return a heat map: a row for each department, a column for each kind of complaint, shares of all reviews."""
    kinds = list(found.departments)
    rows = np.flatnonzero(found.departments[ANY].reviews >= FEWEST_REVIEWS)
    shares = np.stack([found.departments[kind].share[rows] for kind in kinds], axis=1)
    figure, (ax,) = panels(1, width=1.6 + 1.15 * len(kinds), height=1.6 + 0.34 * len(rows))
    # Kinds differ a hundredfold in how common they are: colour compares departments within a kind, beyond chance alone.
    shop = np.array([found.shop[kind] for kind in kinds])
    low, high = (
        np.stack([getattr(found.departments[k], side)[rows] for k in kinds], axis=1) for side in ("low", "high")
    )
    differs = (low > shop) | (high < shop)
    relative = np.where(differs, shares / np.maximum(shop, 1e-9), 1.0)
    ax.imshow(relative, cmap="RdBu_r", vmin=-0.5, vmax=2.5, aspect="auto")
    for r in range(len(rows)):
        for k in range(len(kinds)):
            ax.text(k, r, f"{shares[r, k]:.1%}", ha="center", va="center", fontsize=8, color=INK)
    names = [f"{short(found.coded.departments[d], 24)} ({found.departments[ANY].reviews[d]:,})" for d in rows]
    ax.set_yticks(range(len(rows)), names)
    ax.set_xticks(range(len(kinds)), [kind.replace("_", " ") for kind in kinds])
    ax.grid(False)
    heading(
        figure,
        "Complaints by department",
        "Share of reviews that complain, and complain of a kind. Red is above the shop's share and blue below it, "
        "where the 95 % interval says so; number of reviews in brackets.",
    )
    return figure


@own_style
def worst_products(found: Findings) -> Any:
    """Return the products whose share of complaints is highest, with 95 % intervals; problems in another colour."""
    of = found.products[ANY]
    enough = np.flatnonzero(of.reviews >= FEWEST_REVIEWS)
    worst = enough[np.argsort(-of.low[enough], kind="stable")][:MOST_PRODUCTS][::-1]
    figure, (ax,) = panels(1, width=7.5, height=1.4 + 0.24 * len(worst))
    for place, p in enumerate(worst.tolist()):
        colour = LOSS if of.verdict(p) is Verdict.PROBLEM else DIM
        ax.plot([of.low[p], of.high[p]], [place, place], color=colour, linewidth=2.5)
        ax.plot([of.share[p]], [place], "o", color=colour, markersize=5)
    ax.axvline(found.shop[ANY], color=INK, linewidth=0.8, linestyle="--")
    labels = [f"{short(found.coded.products[p], 28)} ({of.reviews[p]:,})" for p in worst.tolist()]
    ax.set_yticks(range(len(worst)), labels, fontsize=8)
    ax.set_xlim(0.0, min(1.0, 1.1 * float(of.high[worst].max(initial=0.1))))
    ax.set_xlabel("share of reviews that complain")
    heading(
        figure,
        "Products that are complained of most",
        "Shares are drawn to those of the department; lines are 95 % intervals, the dashed line is the shop, the "
        "number of reviews stands in brackets. Orange: a problem product.",
    )
    return figure
