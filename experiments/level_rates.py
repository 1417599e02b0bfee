"""Categories of very many levels (postcode, product): one number a level, its shrunken rate of repurchases.

Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes" (2001), shrunk by empirical Bayes. A
level's rate is learned from outcomes, so no row sees a rate that its own customer's outcomes are in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from decision.records import ContextValue, FloatArray, IntArray
from decision.stages.context import Column, Encoder
from experiments.encoding import FEWEST_OF_A_LEVEL, MOST_LEVELS, encode_all

FOLDS = 5
# A bundle keeps so many levels, the most frequent; the others are taken for average.
MOST_RATES = 5_000
# Rates are worth a column where so many rows are of none of the levels that have one of their own.
FEWEST_ROWS = 200


@dataclass(frozen=True, slots=True)
class Rated:
    """An encoder with rates, and contexts `x` [n, D] encoded but for the rates, which `x_for` fills in."""

    encoder: Encoder
    x: FloatArray
    rates: tuple[_Rates, ...]
    fold: IntArray

    def x_for(self, train: np.ndarray) -> FloatArray:
        """Return `x` with rates learned from the rows marked in `train` [n] alone.

        Those rows get rates from other customers among them, all others from all of them.
        """
        if not self.rates:
            return self.x
        x = self.x.copy()
        for rates in self.rates:
            x[:, rates.place] = rates.of(train)
            for f in range(FOLDS):
                mine = train & (self.fold == f)
                x[mine, rates.place] = rates.of(train & (self.fold != f))[mine]
        return x


@dataclass(frozen=True, slots=True)
class _Rates:
    """One category: `level` [n] numbers its levels, -1 for an absent or rare one; `place` is its column in `x`.

    A level's rate is shrunk towards the `average` as if `weight` rows more had it, and given in units of `scale`.
    """

    place: int
    level: IntArray
    outcome: FloatArray
    average: float
    weight: float
    scale: float

    def by_level(self, seen: np.ndarray) -> FloatArray:
        """Return the number of each level, learned from the rows marked in `seen` [n]."""
        keep = seen & (self.level >= 0)
        most = int(self.level.max()) + 1
        excess = np.bincount(self.level[keep], weights=self.outcome[keep] - self.average, minlength=most)
        rows = np.bincount(self.level[keep], minlength=most)
        return np.asarray(excess / (rows + self.weight) / self.scale)

    def of(self, seen: np.ndarray) -> FloatArray:
        """Return the number of each row, [n]."""
        return np.append(self.by_level(seen), 0.0)[self.level]


def rate_levels(
    encoder: Encoder, contexts: Sequence[Mapping[str, ContextValue]], outcome: FloatArray, customers: np.ndarray
) -> Rated:
    """Return an encoder that also has rates, where a category's levels differ in `outcome` [n] by more than chance."""
    columns = {column.name: column for column in encoder.columns}
    parts: dict[str, tuple[IntArray, list[str], float, float]] = {}
    for name in sorted({name for context in contexts for name in context}):
        values = [context.get(name) for context in contexts]
        found = _levels(values, outcome)
        if found is None:
            continue
        parts[name] = found
        absent = sum(value is None for value in values)
        columns[name] = replace(
            columns.get(name, Column(name)), rates={}, missing=FEWEST_OF_A_LEVEL <= absent <= len(values) / 2
        )
    whole = Encoder(tuple(columns[name] for name in sorted(columns)))
    everybody, rates, start, filled = np.ones(len(outcome), dtype=bool), [], 0, []
    for column in whole.columns:
        if column.name in parts:
            level, names, weight, scale = parts[column.name]
            place = start + len(column.levels)
            rates.append(_Rates(place, level, outcome, float(outcome.mean()), weight, scale))
            numbers = rates[-1].by_level(everybody).tolist()
            filled.append(replace(column, rates=dict(zip(names, numbers, strict=True))))
        else:
            filled.append(column)
        start += column.width
    member = np.unique(customers, return_inverse=True)[1]
    fold = np.random.default_rng(0).permutation(member.max() + 1)[member] % FOLDS
    return Rated(Encoder(tuple(filled)), encode_all(whole, contexts), tuple(rates), fold)


def _levels(values: Sequence[ContextValue], outcome: FloatArray) -> tuple[IntArray, list[str], float, float] | None:
    """Return level numbers [n], their names, weight and scale; None where levels are few or differ by chance alone."""
    counts = Counter(value for value in values if isinstance(value, str))
    common = counts.most_common(MOST_RATES)
    own = sum(n for _, n in common[:MOST_LEVELS] if n >= FEWEST_OF_A_LEVEL)
    if sum(counts.values()) - own < FEWEST_ROWS:
        return None
    names = [name for name, n in common if n > 1]
    number = {name: i for i, name in enumerate(names)}
    level = np.array([number.get(value, -1) if isinstance(value, str) else -1 for value in values], dtype=np.int64)
    seen = level >= 0
    if not seen.any():
        return None
    rows = np.bincount(level[seen])
    average = outcome.mean()
    noise = average * (1.0 - average)
    excess = np.bincount(level[seen], weights=outcome[seen] - average)
    # Pairs of rows of one level are alike by the variance between levels (method of moments).
    pairs = float((rows * (rows - 1)).sum())
    squares = np.bincount(level[seen], weights=(outcome[seen] - average) ** 2)
    products = excess**2 - squares
    between = float(products.sum()) / pairs
    chance = float(np.sqrt(2.0 * pairs)) * noise / pairs
    if between < 2.0 * chance:
        return None
    weight = noise / between
    shrunk = np.sqrt(between * float((rows * rows / (rows + weight)).sum() / rows.sum()))
    return level, names, weight, float(shrunk)
