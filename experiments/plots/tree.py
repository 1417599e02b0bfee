"""The policy tree as a picture."""

from __future__ import annotations

from textwrap import wrap
from typing import Any

from decision.records import CONTROL
from experiments.off_policy import Estimate
from experiments.plots.style import DIM, INK, LOSS, MARK, heading, own_style, panels, short
from experiments.policy_tree import Node
from experiments.tree_report import PolicyTree
from experiments.wording import action_words, condition_words

ROW, COLUMN = 1.0, 2.6


@own_style
def policy_tree(tree: PolicyTree, *, unit: str) -> Any:
    """Return the tree from left to right: questions, and in each leaf who gets what, how many, and the gain."""
    deepest = max(len(leaf.path) for leaf in tree.leaves)
    figure, (ax,) = panels(1, width=max(3.4 + 2.9 * deepest, 8.5), height=1.7 + 0.72 * len(tree.leaves))
    ax.set_axis_off()
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlim(-0.1, COLUMN * max(deepest, 1) + 2.5)
    ax.set_ylim(-len(tree.leaves) + 0.4, 0.6)
    if not deepest:
        ax.text(0.0, 0.3, "everybody", ha="left", va="bottom", fontsize=8.5, color=INK)
    _draw(ax, tree, tree.root, depth=0, first=0, deepest=deepest, unit=unit)
    heading(
        figure,
        "Who gets what, in at most eight rules",
        f"Gain over doing nothing, {unit} per decision, with 95 % intervals, on customers the rules weren't made from. "
        "Green: a gain is proven, red: a loss, grey: neither.\n"
        f"Such rules earn {_interval(tree.value)} per decision, the full model {_interval(tree.full_model)}: "
        f"{tree.against_full_model()}.",
    )
    return figure


def _interval(found: Estimate) -> str:
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _draw(ax: Any, tree: PolicyTree, node: Node, *, depth: int, first: int, deepest: int, unit: str) -> float:
    """Draw a part of the tree whose first leaf is number `first`; return the height at which it begins."""
    if node.condition is None or node.yes is None or node.no is None:
        _draw_leaf(ax, tree, first, depth=depth, deepest=deepest, unit=unit)
        return -ROW * first
    size = sum(1 for _ in node.yes.leaves())
    ends = (
        _draw(ax, tree, node.yes, depth=depth + 1, first=first, deepest=deepest, unit=unit),
        _draw(ax, tree, node.no, depth=depth + 1, first=first + size, deepest=deepest, unit=unit),
    )
    here, x = sum(ends) / 2, COLUMN * depth
    for end in ends:
        ax.plot([x, x + 0.25, x + 0.25, COLUMN * (depth + 1)], [here, here, end, end], color=DIM, lw=1.2, zorder=1)
    for end, answer in zip(ends, (True, False), strict=True):
        words = condition_words(tree.conditions[node.condition], answer=answer)
        text = "\n".join(wrap(words, 26)[:3])
        ax.text(x + 0.33, end + 0.06, text, ha="left", va="bottom", fontsize=8.5, color=INK)
    return here


def _draw_leaf(ax: Any, tree: PolicyTree, number: int, *, depth: int, deepest: int, unit: str) -> None:
    leaf = tree.leaves[number]
    y, x = -ROW * number, COLUMN * deepest
    ax.plot([COLUMN * depth, x], [y, y], color=DIM, lw=1.2, zorder=1)
    colour = MARK if leaf.gain.low > 0 else LOSS if leaf.gain.high < 0 else DIM
    gain = f"\n{leaf.gain.value:+.2f} {unit} [{leaf.gain.low:+.2f}, {leaf.gain.high:+.2f}]"
    if leaf.action_id == CONTROL:
        gain = ""
    ax.text(
        x + 0.08,
        y,
        f"{short(action_words(leaf.action_id), 36)}\n{100 * leaf.share:.0f} % of decisions{gain}",
        ha="left",
        va="center",
        fontsize=8.5,
        color=INK,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour, "linewidth": 1.6},
    )
