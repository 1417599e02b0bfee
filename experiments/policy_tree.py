"""A policy of at most eight leaves that people can read: who gets what, by raw facts of the context.

The tree maximises the sum of scores [n, K], one per decision and action, as in Athey and Wager (2021) for two actions
and Zhou, Athey and Wager (2023) for several. It is at most three splits deep. Two trees are grown: one greedily, and
one that looks a further split ahead, exactly, over all pairs of conditions, as an interaction shows only then. Both
are pruned at their weakest links (Breiman et al. 1984); the best of either is kept for every number of leaves, and
cross-fitting chooses among these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from decision.records import ContextValue, FloatArray, IntArray

BoolArray = NDArray[np.bool_]
MOST_LEAVES = 8
DEPTH = 3
# Of categories with more levels only single levels are tried: subsets are too many to try, and to read.
MOST_LEVELS_IN_SETS = 5
THRESHOLDS = 10
# A condition must part off at least this share of the decisions.
SMALLEST_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Condition:
    """A question about one fact: `number <= at_most`, `text in levels`, or, with neither, whether it is unknown.

    `unknown` is what an unknown number answers, None where it was never seen unknown (it then answers no, as an
    unknown text does). `yes_or_no` marks a number that is only ever 0 or 1. `others` are all levels of which an
    answer no leaves one, where they are few and never unknown.
    """

    fact: str
    at_most: float | None = None
    levels: tuple[str, ...] = ()
    yes_or_no: bool = False
    unknown: bool | None = None
    others: tuple[str, ...] = ()

    def holds(self, value: ContextValue) -> bool:
        """Return the answer for a value of the fact."""
        if self.at_most is not None:
            return value <= self.at_most if isinstance(value, int | float) else bool(self.unknown)
        return value in self.levels if self.levels else value is None


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the tree: the best single `action` for its `rows` decisions, and what their scores then sum to.

    An inner node has a `condition` (its place in the list that the tree was grown from) and goes on to `yes` or `no`.
    """

    action: int
    rows: int
    total: float
    condition: int | None = None
    yes: Node | None = None
    no: Node | None = None

    def leaves(self) -> Iterator[tuple[tuple[tuple[int, bool], ...], Node]]:
        """Yield leaves with the way to each: (condition, answer) from the root on."""
        if self.condition is None or self.yes is None or self.no is None:
            yield (), self
            return
        for answer, part in ((True, self.yes), (False, self.no)):
            for path, leaf in part.leaves():
                yield ((self.condition, answer), *path), leaf

    def leaf_of(self, answers: BoolArray) -> IntArray:
        """Return the number of each row's leaf, in the order of `leaves`, from bool[n, S] answers to all conditions."""
        place = np.zeros(len(answers), dtype=np.int64)
        for number, (path, _) in enumerate(self.leaves()):
            inside = np.ones(len(answers), dtype=bool)
            for condition, answer in path:
                inside &= answers[:, condition] == answer
            place[inside] = number
        return place

    def assign(self, answers: BoolArray) -> IntArray:
        """Return the action of each row, int[n]."""
        actions = np.array([leaf.action for _, leaf in self.leaves()])
        return np.asarray(actions[self.leaf_of(answers)], dtype=np.int64)


def conditions_of(contexts: Sequence[Mapping[str, ContextValue]]) -> list[Condition]:
    """Return the questions worth asking of these contexts; outcomes are not looked at.

    Numbers are cut at deciles, rounded to two digits; small categories at every set of levels.
    """
    asked = [
        question
        for name in sorted({name for context in contexts for name in context})
        for question in _questions(name, [context.get(name) for context in contexts])
    ]
    share = answers_to(asked, contexts).mean(axis=0)
    return [question for question, s in zip(asked, share, strict=True) if SMALLEST_SHARE <= s <= 1.0 - SMALLEST_SHARE]


def _questions(name: str, values: Sequence[ContextValue]) -> Iterator[Condition]:
    texts = sorted({value for value in values if isinstance(value, str)})
    numbers = np.array([value for value in values if isinstance(value, int | float)], dtype=float)
    if texts:
        known = len(texts) <= MOST_LEVELS_IN_SETS and None not in values
        for some in _sets(texts):
            others = tuple(level for level in texts if level not in some) if known else ()
            yield Condition(name, levels=some, others=others)
    elif len(numbers):
        binary = set(np.unique(numbers).tolist()) <= {0.0, 1.0}
        cuts = [0.0] if binary else np.quantile(numbers, np.arange(1, THRESHOLDS) / THRESHOLDS)
        for cut in sorted({float(f"{cut:.2g}") for cut in cuts}):
            for unknown in (None,) if len(numbers) == len(values) else (False, True):
                yield Condition(name, at_most=cut, yes_or_no=binary, unknown=unknown)
    yield Condition(name)


def _sets(levels: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield sets of levels; a set and its opposite are one question."""
    if len(levels) > MOST_LEVELS_IN_SETS:
        yield from ((level,) for level in levels)
        return
    for size in range(1, len(levels) // 2 + 1):
        yield from combinations(levels, size)


def answers_to(conditions: Sequence[Condition], contexts: Sequence[Mapping[str, ContextValue]]) -> BoolArray:
    """Return bool[n, S], the answer of every context to every condition."""
    answers = np.zeros((len(contexts), len(conditions)), dtype=bool)
    facts = {c.fact for c in conditions}
    values = {fact: np.array([context.get(fact) for context in contexts], dtype=object) for fact in facts}
    numbers = {
        fact: np.array([v if isinstance(v, int | float) else np.nan for v in column], dtype=float)
        for fact, column in values.items()
    }
    for s, c in enumerate(conditions):
        if c.at_most is not None:
            answers[:, s] = (numbers[c.fact] <= c.at_most) | (np.isnan(numbers[c.fact]) & bool(c.unknown))
        elif c.levels:
            answers[:, s] = np.isin(values[c.fact], np.array(c.levels, dtype=object))
        else:
            answers[:, s] = values[c.fact] == np.array(None)
    return answers


def grow(answers: BoolArray, scores: FloatArray, *, fewest: int) -> tuple[Node, ...]:
    """Return eight trees: in place m the best one found with at most m + 1 leaves of at least `fewest` decisions.

    Parameters
    ----------
    answers : bool[n, S], of every decision to every condition.
    scores : float[n, K], what each action brings each decision; where it is not allowed, what is given in its place.

    Raises
    ------
    InvalidInput : no decisions, or shapes that don't fit.
    """
    if not len(scores) or len(answers) != len(scores) or fewest < 1:
        raise InvalidInput(
            f"A tree needs answers and scores of the same decisions, found {len(answers)} and {len(scores)}.",
            hint="`fewest` is at least 1.",
        )
    asked = answers.astype(np.float64)
    grown = [_grow(asked, scores, fewest, depth, ahead) for ahead, depth in ((False, DEPTH), (True, 2), (True, DEPTH))]
    found = sorted((tree for root in grown for tree in prunings(root)), key=_size)
    best = []
    for most in range(1, MOST_LEAVES + 1):
        # The first of equals, which is the smallest.
        best.append(max((tree for tree in found if _size(tree) <= most), key=_earned))
    return tuple(best)


def _size(tree: Node) -> int:
    return sum(1 for _ in tree.leaves())


def _earned(tree: Node) -> float:
    return sum(leaf.total for _, leaf in tree.leaves())


def _grow(asked: FloatArray, scores: FloatArray, fewest: int, depth: int, ahead: bool) -> Node:
    sums = scores.sum(axis=0)
    action = int(sums.argmax())
    leaf = Node(action, len(scores), float(sums[action]))
    if depth == 0 or len(scores) < 2 * fewest or not asked.shape[1]:
        return leaf
    alone = _one_ahead(asked, scores, fewest)
    value = _two_ahead(asked, scores, fewest) if ahead and depth > 1 else alone
    tolerance = 1e-9 * (1.0 + abs(leaf.total))
    if not value.max() > leaf.total + tolerance:
        return leaf
    # Of conditions that are as good in the end, the one that tells most by itself.
    best = int(np.where(value >= value.max() - tolerance, alone, -np.inf).argmax())
    yes = asked[:, best] > 0.0
    parts = [_grow(asked[side], scores[side], fewest, depth - 1, ahead) for side in (yes, ~yes)]
    return Node(action, len(scores), leaf.total, best, *parts)


def _one_ahead(asked: FloatArray, scores: FloatArray, fewest: int) -> FloatArray:
    """Return float[S], the sum of scores when both sides of a condition get their best action."""
    yes = asked.T @ scores
    value = yes.max(axis=1) + (scores.sum(axis=0) - yes).max(axis=1)
    rows = asked.sum(axis=0)
    return np.where((rows >= fewest) & (len(asked) - rows >= fewest), value, -np.inf)


def _two_ahead(asked: FloatArray, scores: FloatArray, fewest: int) -> FloatArray:
    """Return float[S], the same when either side may be split once more by the condition that is best there."""
    total, n = scores.sum(axis=0), len(asked)
    yes, rows = asked.T @ scores, asked.sum(axis=0)
    both = np.stack([asked.T @ (asked * score[:, None]) for score in scores.T], axis=2)
    both_rows = asked.T @ asked
    # Sides of the first condition (axis 0) split by the second (axis 1).
    of_yes = _best_split(both, yes[:, None, :] - both, both_rows, rows[:, None] - both_rows, fewest)
    no_rows = rows[None, :] - both_rows
    of_no = _best_split(
        yes[None, :, :] - both,
        total - yes[:, None, :] - yes[None, :, :] + both,
        no_rows,
        n - rows[:, None] - no_rows,
        fewest,
    )
    value = np.maximum(of_yes, yes.max(axis=1)) + np.maximum(of_no, (total - yes).max(axis=1))
    return np.where((rows >= fewest) & (n - rows >= fewest), value, -np.inf)


def _best_split(
    one: FloatArray, other: FloatArray, one_rows: FloatArray, other_rows: FloatArray, fewest: int
) -> FloatArray:
    value = one.max(axis=2) + other.max(axis=2)
    best: FloatArray = np.where((one_rows >= fewest) & (other_rows >= fewest), value, -np.inf).max(axis=1)
    return best


def prunings(root: Node) -> list[Node]:
    """Return ever smaller trees, from `root` to a single leaf: each time the split that earns least is undone."""
    found = [root]
    while found[-1].condition is not None:
        found.append(_undo(found[-1], min(_earnings(found[-1]))))
    return found


def _earnings(node: Node) -> Iterator[float]:
    """Yield what each inner node's splits earn per leaf that they add."""
    if node.condition is None or node.yes is None or node.no is None:
        return
    leaves = [leaf for _, leaf in node.leaves()]
    yield (sum(leaf.total for leaf in leaves) - node.total) / (len(leaves) - 1)
    yield from _earnings(node.yes)
    yield from _earnings(node.no)


def _undo(node: Node, least: float) -> Node:
    if node.condition is None or node.yes is None or node.no is None:
        return node
    if next(_earnings(node)) <= least:
        return Node(node.action, node.rows, node.total)
    return Node(node.action, node.rows, node.total, node.condition, _undo(node.yes, least), _undo(node.no, least))


def choose_leaves(
    answers: BoolArray, scores: FloatArray, judged_by: FloatArray, fold: IntArray, *, fewest: int
) -> tuple[int, FloatArray]:
    """Return how many leaves are worth it, and the actions that trees of that size gave in folds they had not seen.

    The fewest leaves that lose against the best number no more than a standard error of the paired difference, or
    than a twentieth of what the best number adds to a single leaf: who reads a tree would rather have it small.

    Parameters
    ----------
    scores : float[n, K], what trees are grown on.
    judged_by : float[n, K], what they are judged by, from models that didn't see what `scores` were made from.
    fold : int[n], the same for all decisions of a customer.

    Returns
    -------
    The number of leaves, 1 to 8, and int[n] actions.
    """
    given = np.zeros((MOST_LEAVES, len(scores)), dtype=np.int64)
    for f in np.unique(fold):
        out = fold == f
        for size, tree in enumerate(grow(answers[~out], scores[~out], fewest=fewest)):
            given[size, out] = tree.assign(answers[out])
    brought = judged_by[np.arange(len(scores)), given]
    mean = brought.mean(axis=1)
    lost = brought[mean.argmax()] - brought
    error = lost.std(axis=1, ddof=1) / np.sqrt(len(scores))
    size = int(np.flatnonzero(lost.mean(axis=1) <= np.maximum(error, 0.05 * (mean.max() - mean[0])))[0])
    return size + 1, given[size]
