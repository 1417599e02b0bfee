"""The map of who gets what: readable groups of customers against actions."""

from __future__ import annotations

from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments import plots
from experiments.dataset import Dataset
from experiments.selection import Candidate, greedy
from experiments.wording import fact_words, number

FEWEST = 30
MOST_FACTS = 8
MOST_LEVELS = 5


def who_gets_what(data: Dataset, chosen: Candidate) -> Any:
    """Return the map for the facts along which the policy differs most, at most eight of them."""
    given = greedy(chosen.value)
    groups = {"everybody": np.ones(len(data), dtype=bool)} | _groups(data, given)
    used = np.flatnonzero(given.mean(axis=0) > 0.002)
    shares = np.array([given[members][:, used].mean(axis=0) for members in groups.values()])
    return plots.who_gets_what(
        shares,
        rows=list(groups),
        columns=[data.catalogue[k] for k in used],
        sizes=[int(members.sum()) for members in groups.values()],
    )


def _groups(data: Dataset, given: FloatArray) -> dict[str, np.ndarray]:
    """Return groups by level of a category or third of a number, of the facts that matter, in order of names."""
    contexts, by_fact = data.contexts, {}
    for name in sorted({name for context in contexts[:1000] for name in context}):
        facts = [context.get(name) for context in contexts]
        texts = {fact for fact in facts if isinstance(fact, str)}
        if 1 < len(texts) <= MOST_LEVELS:
            found = {
                f"{fact_words(name)} = {text}": np.array([fact == text for fact in facts]) for text in sorted(texts)
            }
        elif not texts:
            numbers = np.array([fact if isinstance(fact, int | float) else np.nan for fact in facts], dtype=float)
            found = _thirds(fact_words(name), numbers)
        else:
            continue
        found = {label: members for label, members in found.items() if members.sum() >= FEWEST}
        if len(found) > 1:
            by_fact[name] = found
    strongest = sorted(by_fact, key=lambda name: -_difference(by_fact[name], given))[:MOST_FACTS]
    return {label: members for name in sorted(strongest) for label, members in by_fact[name].items()}


def _difference(groups: dict[str, np.ndarray], given: FloatArray) -> float:
    """Return which share of the decisions would change if all groups were given what everybody is on average."""
    everybody = given.mean(axis=0)
    return sum(
        float(members.mean()) * float(np.abs(given[members].mean(axis=0) - everybody).sum()) / 2
        for members in groups.values()
    )


def _thirds(name: str, numbers: FloatArray) -> dict[str, np.ndarray]:
    known = numbers[~np.isnan(numbers)]
    if len(known) < FEWEST or known.min() == known.max():
        return {}
    distinct = np.unique(known).tolist()
    if distinct == [0.0, 1.0]:
        return {f"{name}: no": numbers == 0.0, f"{name}: yes": numbers == 1.0}
    if len(distinct) <= 4:
        return {f"{name} = {number(value)}": numbers == value for value in distinct}
    low, high = (float(f"{cut:.3g}") for cut in np.quantile(known, [1 / 3, 2 / 3]))
    return {
        f"{name} ≤ {number(low)}": numbers <= low,
        f"{name} {number(low)} to {number(high)}": (numbers > low) & (numbers <= high),
        f"{name} > {number(high)}": numbers > high,
    }
