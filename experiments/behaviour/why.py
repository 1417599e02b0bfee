"""Why is her chance of a purchase high or low? The facts that move it most, in words, against the middle customer.

The effects are those of the linear hazard, also where it is not among the members that are averaged: the odds of a
purchase in a week, with everything else as it is. Facts that say the same thing are one reason.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decision.records import FloatArray, IntArray
from experiments.behaviour.columns import facts
from experiments.behaviour.repurchase import CHUNK, Repurchase
from experiments.behaviour.state import State

MOST = 3
# Odds that move by less than a tenth are no reason.
LEAST = float(np.log(1.1))
SAMPLE = 20_000
# What a reason says of each customer.
Words = Callable[[State], Any]


def _number(values: FloatArray, digits: int = 0) -> Any:
    rounded = np.round(values, digits)
    return pc.cast(pa.array(rounded.astype(np.int64) if digits == 0 else rounded), pa.string())


def _joined(*parts: Any) -> Any:
    return pc.binary_join_element_wise(*parts, "")


def _silence(state: State) -> Any:
    once = _joined("last bought ", _number(state.silence), pa.array(_days(state.silence)), " ago")
    several = _joined(once, ", ", _number(state.silence / state.usual_gap, 1), " times her usual gap")
    return pc.if_else(pa.array(state.purchases > 1), several, once)


def _often(state: State) -> Any:
    several = _joined("bought on ", _number(state.purchases), " days so far")
    return pc.if_else(pa.array(state.purchases > 1), several, "bought once so far")


def _rhythm(state: State) -> Any:
    return _joined("usually ", _number(state.usual_gap), pa.array(_days(state.usual_gap)), " between purchases")


def _lately(state: State) -> Any:
    often = np.array(["little", "some", "much"])
    return _joined("has bought ", pa.array(often[np.digitize(state.recently, (0.5, 2.0))]), " in recent months")


def _money(state: State) -> Any:
    return _joined("spends ", _number(state.spent / state.purchases), " a purchase")


def _returns(state: State) -> Any:
    back = np.minimum(100.0 * state.returned / state.spent, 100.0)
    some = _joined("has sent back ", _number(back), " % of what she ordered")
    return pc.if_else(pa.array(back >= 0.5), some, "has sent nothing back")


def _days(count: FloatArray) -> list[str]:
    return [" day" if one else " days" for one in (np.round(count) == 1).tolist()]


# Places among `columns.FACTS`, the words for a customer, and those for everybody.
REASONS: tuple[tuple[tuple[int, ...], Words, str], ...] = (
    # Apart, one of the two would take back what the other says too much of, and name silence as what helps.
    ((0, 7, 10), _silence, "how long she has been silent, also beside her usual gap"),
    ((1, 3), _often, "on how many days she has bought"),
    ((2, 8), _rhythm, "her usual rhythm"),
    ((5, 6), _lately, "what she has bought in recent months"),
    ((4,), _money, "what she spends a purchase"),
    ((9,), _returns, "what she sends back"),
)


def reasons(model: Repurchase, state: State) -> pa.Array:
    """Return each customer's strongest reasons, a line each, [N]; none is an empty text."""
    n = len(state.customer)
    if not n:
        return pa.nulls(0, pa.string())
    middle = middle_of(model, state)

    def of(start: int) -> pa.Array:
        return _of(model, state.where(np.arange(start, min(start + CHUNK, n))), middle)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        return pa.concat_arrays(list(threads.map(of, range(0, n, CHUNK))))


def middle_of(model: Repurchase, state: State) -> FloatArray:
    """Return the facts of the middle customer, of some of them, [all]."""
    n = len(state.customer)
    some = state.where(np.unique(np.linspace(0, n - 1, min(n, SAMPLE)).astype(np.int64)))
    return np.asarray(np.median(facts(some, model.rates), axis=0))


def effects(model: Repurchase, state: State, middle: FloatArray) -> FloatArray:
    """Return what each of `REASONS` adds to the log-odds against a customer of `middle` facts, [N, len(REASONS)]."""
    hinges, weights = model.linear.hinges, model.linear.weights
    moved = hinges.columns(facts(state, model.rates)) - hinges.columns(middle[None, :])
    n_facts, n_knots = len(hinges.of), hinges.knots.shape[1]
    # Columns are the facts, then each fact's hinges.
    fact = np.concatenate([np.arange(n_facts), np.repeat(np.arange(n_facts), n_knots)])
    told = np.zeros((len(weights), len(REASONS)))
    for r, (places, *_) in enumerate(REASONS):
        told[np.isin(hinges.of[fact], places), r] = 1.0
    return np.asarray((moved * weights) @ told)


def _of(model: Repurchase, state: State, middle: FloatArray) -> pa.Array:
    found = effects(model, state, middle)
    odds = np.exp(np.clip(found, np.log(0.01), 9.0))
    lines = [
        _joined("\n", words(state), ": odds of a purchase × ", _number(odds[:, r], 2))
        for r, (_, words, _) in enumerate(REASONS)
    ]
    order: IntArray = np.argsort(-np.abs(found), axis=1)[:, :MOST]
    rows = np.arange(len(found))
    chosen = []
    for place in order.T:
        strong = pa.array(np.abs(found[rows, place]) >= LEAST)
        chosen.append(pc.if_else(strong, pc.choose(pa.array(place), *lines), ""))
    # Every line begins with a break, so that none is needed between them.
    return pc.utf8_slice_codeunits(_joined(*chosen), 1)
