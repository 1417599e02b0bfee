"""Fit on everything that is known, with the settings that earlier baskets chose, and write what is served."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decision import __version__
from decision.bundle.neighbours import FORMAT, Manifest, Neighbours, NeighbourStore, Origin, names_as_arrays
from decision.errors import NotEnoughData
from decision.records import BoolArray, IntArray
from experiments.recommend.catalogue import Facts
from experiments.recommend.evaluate import DURABLE_BELOW, Progress, choose
from experiments.recommend.model import BEST_SELLERS, PRIOR, Settings, arrays_of, model, nearness, stand_ins
from experiments.recommend.purchases import Purchases
from experiments.recommend.rates import rebuys, return_rates
from experiments.recommend.split import last_baskets

WORD = r"(?u)\b[^\W\d]{2,}\b"


@dataclass(frozen=True, slots=True)
class Choice:
    """The settings, and why these."""

    settings: Settings
    because: str


@dataclass(frozen=True, slots=True)
class Kinds:
    """What kind of product each is; `durable` and `durable_category` hold where nobody buys it again soon."""

    category: IntArray
    family: IntArray
    durable: BoolArray
    durable_category: BoolArray
    names: tuple[str, ...]


def chosen(purchases: Purchases, *, seed: int, progress: Progress[Settings]) -> Choice:
    """Return the settings that last baskets choose, or the usual ones where too few customers came back."""
    try:
        settings = choose(purchases, last_baskets(purchases), seed=seed, progress=progress)
    except NotEnoughData as few:
        return Choice(Settings(), f"the usual ones: {few.message.rstrip('.')}")
    on = "on the last baskets of customers, none of which was learned from"
    return Choice(settings, f"not clearly beaten {on}" if settings.simple else f"best {on}")


def kinds(purchases: Purchases, catalogue: Mapping[str, Facts]) -> Kinds:
    """Return what kind of product each is: as the catalogue says, else as orders show."""
    facts = [catalogue.get(product, Facts()) for product in purchases.products]
    sold_as = [purchases.categories[c] if c >= 0 else None for c in purchases.category.tolist()]
    names, category = _coded([of.category or sold for of, sold in zip(facts, sold_as, strict=True)])
    _, family = _coded([of.family for of in facts])
    found = rebuys(replace(purchases, categories=names, category=category), prior=PRIOR)
    durable = found.durable(DURABLE_BELOW)
    told = np.array([of.durable is not None for of in facts])
    said = np.array([bool(of.durable) for of in facts])
    durable = np.where(told, said, durable)
    return Kinds(
        category=category,
        family=family,
        durable=durable,
        durable_category=_of_categories(found.durable_category(DURABLE_BELOW), category, told, said),
        names=tuple(of.name or "" for of in facts),
    )


def _of_categories(seen: BoolArray, category: IntArray, told: BoolArray, said: BoolArray) -> BoolArray:
    """Return which categories [C] are durable: all their products are said to be, or orders show it."""
    found = seen.copy()
    for c in np.unique(category[told & (category >= 0)]).tolist():
        found[c] = bool(said[told & (category == c)].all())
    return found


def _coded(values: Sequence[str | None]) -> tuple[tuple[str, ...], IntArray]:
    names = tuple(sorted({value for value in values if value is not None}))
    place = {name: i for i, name in enumerate(names)}
    return names, np.array([-1 if value is None else place[value] for value in values], dtype=np.int64)


def arrays(purchases: Purchases, kinds: Kinds, settings: Settings) -> dict[str, NDArray[np.generic]]:
    """Return all that is served."""
    near = nearness(purchases)
    fitted = model(near, kinds.durable, settings)
    instead, instead_weight = stand_ins(near.by_basket, kinds.category, _words(kinds.names))
    return {
        **names_as_arrays(purchases.products),
        **arrays_of(fitted),
        "instead": instead,
        "instead_weight": instead_weight,
        "category": kinds.category,
        "family": kinds.family,
        "variants": purchases.variants,
        "durable_category": kinds.durable_category,
        "return_rate": return_rates(purchases, prior=PRIOR),
        "popular": np.argsort(-fitted.selling, kind="stable")[:BEST_SELLERS],
    }


def _words(names: Sequence[str]) -> Any | None:
    """Return the words of names by TF-IDF, [N, words]; None where there are no words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(re.search(WORD, name) for name in names):
        return None
    return TfidfVectorizer(token_pattern=WORD, sublinear_tf=True).fit_transform(names)


def train(
    purchases: Purchases,
    catalogue: Mapping[str, Facts],
    choice: Choice,
    store: NeighbourStore,
    *,
    run_id: str,
    now: datetime,
) -> Neighbours:
    """Write the neighbours of a shop and let them serve; running servers follow within a second."""
    found = arrays(purchases, kinds(purchases, catalogue), choice.settings)
    manifest = Manifest(
        format=FORMAT,
        created_at=now,
        decay=choice.settings.decay,
        arrays_sha256="",
        origin=Origin(
            run_id=run_id,
            data_sha256=purchases.sha256,
            baskets=len(purchases.customer),
            customers=len(purchases.customers),
            parameters=choice.settings.as_dict(),
            encore_version=__version__,
        ),
    )
    written = store.write(manifest, found)
    store.use(written.manifest.version)
    return written
