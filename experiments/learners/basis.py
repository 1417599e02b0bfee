"""Columns that a pooled model sees: every encoded fact, steps where one takes many values, products of two.

A step lets an effect begin, end or turn at a threshold; a product lets one fact change what another does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from decision.bundle.models import Shapes
from decision.records import FloatArray, IntArray

# A column that is almost always the same would otherwise be blown up by its tiny deviation.
SMALLEST_DEVIATION = 0.15
# Centring lets effects be told apart; it need not be exact to the last of very many rows.
MOST_TO_AVERAGE = 16_384
NOWHERE = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Basis:
    """Shapes of D facts, and the average of each of their F columns, so that every column but the 1 is centred."""

    shapes: Shapes
    average: FloatArray

    @staticmethod
    def of_contexts(x: FloatArray, *, steps: int) -> Basis:
        """Return facts and steps of contexts `x` [n, D]: at most `steps` steps a fact, at its quantiles."""
        edges = [_edges(column, steps) for column in x.T]
        of = np.repeat(np.arange(x.shape[1]), [len(e) for e in edges])
        at = np.array([edge for e in edges for edge in e], dtype=float)
        deviation = x.std(axis=0) if len(x) else np.ones(x.shape[1])
        shapes = Shapes(x.mean(axis=0), np.maximum(deviation, SMALLEST_DEVIATION), of, at, NOWHERE, NOWHERE)
        return _averaged(shapes, x)

    def with_products(self, x: FloatArray, facts: IntArray) -> Basis:
        """Return the same with the products of every two of `facts`, averaged over contexts `x` [n, D]."""
        pairs = np.array(list(combinations(sorted(facts.tolist()), 2)), dtype=np.intp).reshape(-1, 2)
        return _averaged(replace(self.shapes, first=pairs[:, 0], second=pairs[:, 1]), x)

    @property
    def kinds(self) -> IntArray:
        """Return the kind of each column, [F]: 0 for the 1, 1 for a fact, 2 for a step, 3 for a product."""
        sizes = (1, len(self.shapes.centre), len(self.shapes.of), len(self.shapes.first))
        return np.repeat(np.arange(4), sizes)

    def columns(self, x: FloatArray) -> FloatArray:
        """Return the columns, shape [n, F]."""
        return self.shapes.columns(x) - self.average

    def uncentred(self, weights: FloatArray) -> FloatArray:
        """Return weights [..., F] for columns that were not centred: the served form."""
        return np.concatenate([weights[..., :1] - (weights @ self.average)[..., None], weights[..., 1:]], axis=-1)


def _averaged(shapes: Shapes, x: FloatArray) -> Basis:
    average = shapes.columns(x[:: len(x) // MOST_TO_AVERAGE + 1]).mean(axis=0)
    average[0] = 0.0
    return Basis(shapes, average)


def _edges(values: FloatArray, steps: int) -> list[float]:
    """Return thresholds between neighbouring values, at quantiles where there are many."""
    distinct = np.unique(values)
    if len(distinct) <= 2 or steps == 0:
        return []
    wanted = np.quantile(values, np.linspace(0.0, 1.0, steps + 2)[1:-1]) if len(distinct) > steps + 1 else distinct[:-1]
    below = np.unique(np.clip(np.searchsorted(distinct, wanted), 0, len(distinct) - 2))
    edges: list[float] = ((distinct[below] + distinct[below + 1]) / 2.0).tolist()
    return edges
