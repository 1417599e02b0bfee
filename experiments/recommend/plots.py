"""How good recommendations are beside simple rules, with intervals."""

from __future__ import annotations

from typing import Any

from experiments.plots.style import DIM, INK, MARK, heading, own_style, panels
from experiments.recommend.evaluate import ENCORE, METRICS, Evaluation


@own_style
def comparison(evaluation: Evaluation) -> Any:
    """Return a panel for each table and metric of a protocol: one point a rule, with its 95 % interval."""
    tables = evaluation.tables
    wanted = [(table, metric) for table in tables for metric in METRICS]
    figure, axes = panels(len(wanted), width=3.9, height=2.6)
    for ax, (table, metric) in zip(axes, wanted, strict=True):
        names = list(dict.fromkeys(name for name, _ in table.values))
        for place, name in enumerate(reversed(names)):
            of, colour = table.values[name, metric], MARK if name == ENCORE else DIM
            ax.plot([of.low, of.high], [place, place], color=colour, linewidth=2.5)
            ax.plot([of.value], [place], "o", color=colour, markersize=6)
            ax.annotate(
                f"{of.value:.3f}",
                (of.high, place),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )
        ax.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in reversed(names)], fontsize=8)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.set_xlim(left=0)
        ax.margins(x=0.18)
        ax.set_title(f"{metric}, {table.question}\n{table.customers:,} customers", loc="left", fontsize=8.5)
    heading(
        figure,
        f"What customers bought next, among ten recommended products: {tables[0].protocol}",
        "Points are means over customers, lines 95 % intervals. Further right is better.",
    )
    return figure
