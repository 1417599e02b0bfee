"""Where a test that is looked at several times may stop: exact boundaries by recursive integration.

Armitage, McPherson and Rowe (1969). The statistic is followed as Brownian motion B(t) = Z sqrt(t) at shares t of the
planned information; its density inside the boundaries is carried from look to look on Gauss-Legendre nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from decision.errors import InvalidInput
from decision.records import FloatArray

_FEWEST_NODES, _NODES_PER_SD = 64, 4
SMALLEST_STEP = 1e-4
"""Looks nearer to each other than this share of the information count as one."""


@dataclass(frozen=True, eq=False)
class _Inside:
    """The density of B at one look, on paths that have not crossed: nodes, and weights that hold the density."""

    nodes: FloatArray
    mass: FloatArray
    at: float


_START = _Inside(np.zeros(1), np.ones(1), 0.0)


def checked_looks(looks: Sequence[float]) -> tuple[float, ...]:
    """Return shares of the information that rise to at most 1. Raises InvalidInput for others."""
    steps = np.diff([0.0, *looks])
    if not len(looks) or not (steps >= SMALLEST_STEP).all() or looks[-1] > 1 + 1e-9:
        raise InvalidInput(
            f"Expected looks at rising shares of the planned units up to 1, found {list(looks)}.",
            hint="Four even looks are [0.25, 0.5, 0.75, 1.0].",
        )
    return tuple(looks)


def boundaries(looks: Sequence[float], spent: Sequence[float]) -> list[float]:
    """Return two-sided boundaries of Z, so that by each look the chance to have crossed without an effect is
    `spent`."""
    inside, before, found = _START, 0.0, []
    for at, total in zip(checked_looks(looks), spent, strict=True):
        bound = _bound(inside, at, total - before)
        found.append(bound)
        inside = _carried(inside, at, bound, 0.0)
        before = total
    return found


def crossing_chances(looks: Sequence[float], bounds: Sequence[float], drift: float = 0.0) -> list[float]:
    """Return the chance of crossing first at each look, on either side.

    `drift` is the mean of Z at share 1, the effect divided by its standard error there.
    """
    inside, found = _START, []
    for at, bound in zip(checked_looks(looks), bounds, strict=True):
        found.append(_crossing(inside, at, bound, drift))
        inside = _carried(inside, at, bound, drift)
    return found


def _crossing(inside: _Inside, at: float, bound: float, drift: float) -> float:
    if math.isinf(bound):
        return 0.0
    step = at - inside.at
    sd, moved = math.sqrt(step), inside.nodes + drift * step
    edge = bound * math.sqrt(at)
    return float(inside.mass @ (ndtr((moved - edge) / sd) + ndtr((-moved - edge) / sd)))


def _bound(inside: _Inside, at: float, chance: float) -> float:
    if chance <= 1e-290:
        return math.inf
    if inside is _START:
        return -float(ndtri(chance / 2))

    def over(bound: float) -> float:
        return math.log(max(_crossing(inside, at, bound, 0.0), 1e-320)) - math.log(chance)

    return float(brentq(over, 0.0, 37.0, xtol=1e-10)) if over(0.0) > 0 else 0.0


def _carried(inside: _Inside, at: float, bound: float, drift: float) -> _Inside:
    step = at - inside.at
    sd = math.sqrt(step)
    # Beyond nine standard deviations there is no mass, also where the first looks have no boundary.
    edge = min(bound * math.sqrt(at), 9 * math.sqrt(at) + abs(drift) * at)
    # In steps of sixteen, so that few sets of nodes are made.
    nodes, weights = _gauss(max(_FEWEST_NODES, 16 * math.ceil(_NODES_PER_SD * edge / sd / 16)))
    nodes = nodes * edge
    apart = (nodes[:, None] - inside.nodes - drift * step) / sd
    density = np.exp(-0.5 * apart * apart) @ inside.mass / (sd * math.sqrt(2 * math.pi))
    return _Inside(nodes, weights * edge * density, at)


@lru_cache(maxsize=256)
def _gauss(n: int) -> tuple[FloatArray, FloatArray]:
    nodes, weights = np.polynomial.legendre.leggauss(min(n, 2_000))
    return nodes, weights
