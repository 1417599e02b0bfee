"""What all plots share: colours, sizes, and names that fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from textwrap import fill
from typing import Any, ParamSpec

P = ParamSpec("P")
A_ROW = 5
# Dollar signs in names of customers' groups are money, not mathematics.
STYLE = {"font.size": 9.5, "axes.titlesize": 10.5, "text.parse_math": False}
INK, MARK, DIM, NOTE, LOSS = "#1d2430", "#1f6f5c", "#9aa5b5", "#5b6675", "#c2552d"
PALETTE = ("#1f6f5c", "#c2552d", "#3b6ea5", "#8a5a9e", "#b08a1e", "#5b6675", "#a03b5c", "#4c9a8b")


def own_style(draw: Callable[P, Any]) -> Callable[P, Any]:
    """Draw in our own style: causalml sets matplotlib's global one when it is imported."""

    @wraps(draw)
    def drawn(*arguments: P.args, **named: P.kwargs) -> Any:
        import matplotlib

        with matplotlib.rc_context({**matplotlib.rcParamsDefault, **STYLE}):
            return draw(*arguments, **named)

    return drawn


def panels(n: int, *, width: float, height: float, in_a_row: int = A_ROW) -> tuple[Any, list[Any]]:
    """Return a figure and `n` axes, at most so many in a row; sizes in inches, for one panel."""
    from matplotlib.figure import Figure

    columns = min(n, in_a_row)
    rows = -(-n // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained", dpi=130, facecolor="white")
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for ax in axes[n:]:
        ax.remove()
    for ax in axes[:n]:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.2)
    return figure, axes[:n]


def short(name: str, longest: int) -> str:
    """Return a name of at most `longest` characters; what is left out is in the middle, for names that end alike."""
    if len(name) <= longest:
        return name
    tail = longest // 3
    return f"{name[: longest - tail - 1]}…{name[-tail:]}"


def heading(figure: Any, title: str, below: str = "") -> None:
    """Put a plain sentence over a figure, and under it in grey how to read it, in lines that fit its width."""
    width = figure.get_figwidth()
    figure.suptitle(fill(title, int(9.5 * width)), x=0.01, ha="left", fontsize=11.5, color=INK, fontweight="bold")
    if below:
        lines = [fill(line, int(14.0 * width)) for line in below.splitlines()]
        figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=8.5, color=NOTE)
