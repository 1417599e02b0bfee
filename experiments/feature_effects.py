"""Which facts of the context move the gain of the action a model would choose, and which way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from decision.programme.model import Programme
from decision.records import ContextValue, Decision, FloatArray, action_named
from decision.serving import Champion
from experiments.dataset import Dataset
from experiments.off_policy import Estimate
from experiments.uplift_metrics.clusters import clustered_mean
from experiments.wording import fact_words, number

SAMPLE = 600
FEWEST = 20


@dataclass(frozen=True, slots=True)
class Side:
    """Customers alike in one fact (`who`), and by how much the fact moves their gain, in currency per decision."""

    who: str
    effect: Estimate


@dataclass(frozen=True, slots=True)
class FactEffect:
    """A fact with the customers whom it moves down most and up most; `strength` is the mean absolute effect."""

    fact: str
    down: Side
    up: Side
    strength: float


def feature_effects(data: Dataset, served: Champion, programme: Programme, *, seed: int) -> list[FactEffect]:
    """Return the facts by how strongly they move the best treatment's lead over control, strongest first.

    A fact's effect in one decision is how much that lead falls when the fact is taken as unknown, as in the
    explanation of a single decision, less the average of that over customers. It says what the model does, on a
    seeded sample of 600 decisions; whether the model is right is what calibration and deciles show. Intervals are
    of the sample, by customer.
    """
    drawn = np.random.default_rng(seed).permutation(len(data))[:SAMPLE]
    decisions = [data.decisions[i] for i in sorted(drawn.tolist())]
    names = [column.name for column in served.encoder.columns]
    effects = np.array([_effects(decision, names, served, programme) for decision in decisions])
    effects -= effects.mean(axis=0)
    customers = np.array([decision.customer_id for decision in decisions])
    found = []
    for k, name in enumerate(names):
        sides = _sides([decision.context.get(name) for decision in decisions], effects[:, k], customers)
        if len(sides) > 1:
            down, up = (pick(sides, key=lambda side: side.effect.value) for pick in (min, max))
            found.append(FactEffect(fact_words(name), down, up, float(np.abs(effects[:, k]).mean())))
    return sorted((one for one in found if one.strength > 0.0), key=lambda one: -one.strength)


def _effects(decision: Decision, names: Sequence[str], served: Champion, programme: Programme) -> list[float]:
    allowed = [action_named(a) for a in decision.allowed if a in served.index]
    goal = programme.goal_of(decision.store if decision.store in programme.stores else None)

    def value(context: Mapping[str, ContextValue]) -> FloatArray:
        return served.value(programme, goal, allowed=allowed, context=context).value

    whole = value(decision.context)
    best = 1 + int(whole[1:].argmax()) if len(whole) > 1 else 0
    found = []
    for name in names:
        without = value({fact: known for fact, known in decision.context.items() if fact != name})
        found.append(float(whole[best] - whole[0] - without[best] + without[0]))
    return found


def _sides(values: Sequence[ContextValue], effect: FloatArray, customers: np.ndarray) -> list[Side]:
    """Return customers by level of a category, by either value of two, or by thirds of a number."""
    texts = sorted({value for value in values if isinstance(value, str)})
    if texts:
        groups = {text: np.array([value == text for value in values]) for text in texts}
    else:
        groups = _thirds(np.array([value if isinstance(value, int | float) else np.nan for value in values], float))
    return [
        Side(who, clustered_mean(effect[inside], customers[inside]))
        for who, inside in groups.items()
        if inside.sum() >= FEWEST
    ]


def _thirds(numbers: FloatArray) -> dict[str, np.ndarray]:
    known = numbers[~np.isnan(numbers)]
    if len(known) < FEWEST or known.min() == known.max():
        return {}
    distinct = np.unique(known).tolist()
    if distinct == [0.0, 1.0]:
        return {"no": numbers == 0.0, "yes": numbers == 1.0}
    if len(distinct) <= 4:
        return {number(value): numbers == value for value in distinct}
    low, high = (float(f"{cut:.2g}") for cut in np.quantile(known, [1 / 3, 2 / 3]))
    return {f"≤ {number(low)}": numbers <= low, f"> {number(high)}": numbers > high}
