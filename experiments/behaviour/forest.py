"""Small boosted trees asked for many rows at once: the same sums as LightGBM's, several times as fast.

Facts become places among the thresholds that the trees ask for. Each question is then a comparison of small integers
over a whole column, and the answers to all questions of a tree are one number, by which its value is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidBundle
from decision.records import FloatArray, IntArray

# A split on numbers without missing values, as LightGBM writes it.
_NUMERIC = 2
MOST_SPLITS = 16


@dataclass(frozen=True, slots=True)
class Tree:
    """Questions [S]: is the place of this `fact` at most `place`? `values` [2^S] by the answers, the first as bit 0."""

    fact: IntArray
    place: IntArray
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees, and the sorted thresholds of each fact."""

    thresholds: tuple[FloatArray, ...]
    trees: tuple[Tree, ...]

    def raw(self, x: FloatArray) -> FloatArray:
        """Return the sums of the leaves, [n], that rows of facts [n, F] fall into."""
        kind = np.uint8 if max(map(len, self.thresholds), default=0) < 255 else np.uint16
        # A row goes left where its fact is at most the threshold.
        places = [np.searchsorted(known, x[:, f], side="left").astype(kind) for f, known in enumerate(self.thresholds)]
        total, value, is_so = np.zeros(len(x)), np.zeros(len(x)), np.zeros(len(x), bool)
        narrow, wide = (np.zeros((2, len(x)), kind) for kind in (np.uint8, np.uint16))
        # Into the same arrays again and again: they stay in the processor's cache.
        for tree in self.trees:
            answers, bits = narrow if len(tree.fact) <= 8 else wide
            answers[:] = 0
            for bit, (fact, place) in enumerate(zip(tree.fact.tolist(), tree.place.tolist(), strict=True)):
                np.less_equal(places[fact], place, out=is_so)
                np.multiply(is_so.view(np.uint8), bits.dtype.type(1 << bit), out=bits)
                answers |= bits
            np.take(tree.values, answers, out=value, mode="clip")
            total += value
        return total


def forest_of(text: str) -> Forest:
    """Return the trees in LightGBM's own text. Raises `InvalidBundle` for splits on categories or missing values."""
    raw = [_fields(block) for block in text.split("\nTree=")[1:]]
    splits = [(_ints(tree.get("split_feature", "")), _floats(tree.get("threshold", ""))) for tree in raw]
    if any(kind != _NUMERIC for tree in raw for kind in _ints(tree.get("decision_type", ""))):
        raise InvalidBundle("Expected trees that split on numbers without missing values, found others.")
    n = int(text.partition("\nmax_feature_idx=")[2].partition("\n")[0]) + 1
    asked = [[at[fact == f] for fact, at in splits] for f in range(n)]
    thresholds = tuple(np.unique(np.concatenate([*one, np.zeros(0)])) for one in asked)
    return Forest(thresholds, tuple(_tree(tree, split, thresholds) for tree, split in zip(raw, splits, strict=True)))


def _tree(fields: dict[str, str], split: tuple[IntArray, FloatArray], thresholds: Sequence[FloatArray]) -> Tree:
    leaves = _floats(fields["leaf_value"])
    fact, at = split
    if len(fact) > MOST_SPLITS:
        raise InvalidBundle(f"Expected trees of at most {MOST_SPLITS} splits, found one of {len(fact)}.")
    place = np.array([np.searchsorted(thresholds[f], t) for f, t in zip(fact, at, strict=True)], np.int64)
    sides = _ints(fields["right_child"]), _ints(fields["left_child"])
    values = np.array([leaves[_leaf(sides, answers)] for answers in range(2 ** len(fact))]) if len(fact) else leaves
    return Tree(fact, place, values)


def _leaf(sides: tuple[IntArray, IntArray], answers: int) -> int:
    """Return the leaf that answers lead to; a child below 0 is the leaf ~child."""
    at = 0
    while at >= 0:
        at = int(sides[answers >> at & 1][at])
    return ~at


def _fields(block: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in block.partition("\n\n")[0].splitlines())
    return {name: value for name, _, value in pairs}


def _ints(text: str) -> IntArray:
    return np.array(text.split(), np.int64)


def _floats(text: str) -> FloatArray:
    return np.array(text.split(), float)
