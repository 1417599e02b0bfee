"""Of what the next purchase will be: her own past categories, and what others bought after the same one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from decision.records import FloatArray, IntArray
from experiments.behaviour.channel import last_known
from experiments.behaviour.enough import CATEGORISED, CATEGORY, Verdict

# Purchases of the shop's customers that count as hers: her own taste takes over after a few.
PRIOR = 3.0
MOST_CATEGORIES = 200
# Customers at once: what they bought of each category is a wide table.
PART = 50_000


@dataclass(frozen=True, slots=True)
class NextCategory:
    """`follows` [C, C]: share of purchases of a category (columns) in the order after one of another (rows)."""

    categories: tuple[str, ...]
    follows: FloatArray

    def likeliest(self, lines: pa.Table, names: tuple[str, ...]) -> list[str | None]:
        """Return each customer's likeliest next category, None where no category of hers is known."""
        who, category, _ = _bought(lines, names, self.categories)
        n, c = len(names), len(self.categories)
        if not len(who):
            return [None] * n
        latest, found = np.full(n, -1), np.zeros(n, np.int64)
        latest[who] = category
        for start in range(0, n, PART):
            end = min(start + PART, n)
            rows = slice(*np.searchsorted(who, [start, end]))
            counts = np.bincount((who[rows] - start) * c + category[rows], minlength=(end - start) * c)
            found[start:end] = (counts.reshape(-1, c) + PRIOR * self.follows[latest[start:end]]).argmax(axis=1)
        return [self.categories[f] if known >= 0 else None for f, known in zip(found, latest, strict=True)]


def fit_category(lines: pa.Table) -> tuple[NextCategory | None, Verdict]:
    """Return what follows what in a table of order lines, or None where too few categories are told."""
    known = lines.filter(pc.and_(pc.is_valid(lines["category"]), pc.invert(lines["is_return"])))
    counts = known["category"].value_counts()
    verdict = CATEGORY.verdict({CATEGORISED: known.num_rows})
    if not verdict.enough:
        return None, verdict
    ranked = sorted(counts.to_pylist(), key=lambda one: (-one["counts"], one["values"]))[:MOST_CATEGORIES]
    categories = tuple(str(one["values"]) for one in ranked)
    names = tuple(pc.unique(known["customer_id"]).to_pylist())
    who, category, order = _bought(known, names, categories)
    c = len(categories)
    share = np.bincount(category, minlength=c) / max(len(category), 1)
    pairs = np.zeros((c, c))
    same = who[1:] == who[:-1]
    other = order[1:] != order[:-1]
    np.add.at(pairs, (category[:-1][same & other], category[1:][same & other]), 1.0)
    return NextCategory(categories, (pairs + 10.0 * share) / (pairs.sum(axis=1, keepdims=True) + 10.0)), verdict


def latest(lines: pa.Table, names: tuple[str, ...]) -> list[str | None]:
    """Return the category each customer bought last, the rule where too few are told."""
    known = lines.filter(pc.and_(pc.is_valid(lines["category"]), pc.invert(lines["is_return"])))
    return last_known(known, "category", names)


def _bought(
    lines: pa.Table, names: tuple[str, ...], categories: tuple[str, ...]
) -> tuple[IntArray, IntArray, IntArray]:
    """Return customer, category and order of each purchased line, in the order of time within a customer."""
    place = pc.index_in(lines["customer_id"], value_set=pa.array(names, pa.string()))
    kind = pc.index_in(lines["category"], value_set=pa.array(categories, pa.string()))
    wanted = pc.and_(pc.and_(pc.is_valid(place), pc.is_valid(kind)), pc.invert(lines["is_return"]))
    table = pa.table(
        {
            "who": place,
            "at": lines["at"],
            "kind": kind,
            "order": pc.dictionary_encode(lines["order_id"]).combine_chunks().indices,
        }
    ).filter(wanted)
    table = table.sort_by([("who", "ascending"), ("at", "ascending")])
    return tuple(table[name].to_numpy().astype(np.int64) for name in ("who", "kind", "order"))
