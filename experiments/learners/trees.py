"""Decision trees laid out in arrays, whatever library grew them: what the bundle's tree models read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a tree says at one of its ends: a number, or one for each action."""

    value: float | Sequence[float]


@dataclass(frozen=True, slots=True)
class Split:
    """Goes `above` where the fact number `fact` is greater than `threshold`, else `below`."""

    fact: int
    threshold: float
    below: Tree
    above: Tree


Tree = Leaf | Split


def scaled(tree: Tree, by: float) -> Tree:
    """Return a tree of numbers with every leaf multiplied."""
    if isinstance(tree, Split):
        return Split(tree.fact, tree.threshold, scaled(tree.below, by), scaled(tree.above, by))
    return Leaf(by * np.asarray(tree.value, dtype=float).item())


def laid_out(trees: Sequence[Tree], *, nothing: float | Sequence[float] = 0.0) -> dict[str, np.ndarray]:
    """Return the arrays of N nodes, without owners; `nothing` fills `leaf` [N] or [N, K] where a node is a split.

    A leaf points to itself, so that walking `depth` steps from any root ends in one.
    """
    nodes = _Nodes(nothing)
    roots = [nodes.add(tree, depth=0) for tree in trees]
    return {
        "feature": np.array(nodes.feature, dtype=np.intp),
        "threshold": np.array(nodes.threshold, dtype=float),
        "left": np.array(nodes.left, dtype=np.intp),
        "right": np.array(nodes.right, dtype=np.intp),
        "roots": np.array(roots, dtype=np.intp),
        "leaf": np.array(nodes.leaf, dtype=float),
        "depth": np.array(nodes.depth),
    }


def rounded_edge(value: float) -> float:
    """Return from where on numbers go right where they are rounded to float32 first and those equal to it go left."""
    below = np.float32(value)
    if float(below) > value:
        below = np.nextafter(below, np.float32(-np.inf))
    return (float(below) + float(np.nextafter(below, np.float32(np.inf)))) / 2.0


@dataclass(slots=True)
class _Nodes:
    nothing: float | Sequence[float]
    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    leaf: list[float | Sequence[float]] = field(default_factory=list)
    depth: int = 0

    def add(self, tree: Tree, *, depth: int) -> int:
        place = len(self.feature)
        self.depth = max(self.depth, depth)
        split = tree if isinstance(tree, Split) else None
        self.feature.append(split.fact if split else 0)
        self.threshold.append(split.threshold if split else 0.0)
        self.leaf.append(tree.value if isinstance(tree, Leaf) else self.nothing)
        self.left.append(place)
        self.right.append(place)
        if split:
            self.left[place] = self.add(split.below, depth=depth + 1)
            self.right[place] = self.add(split.above, depth=depth + 1)
        return place
