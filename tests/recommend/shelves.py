"""A small shop's neighbours, written by hand: what goes with coffee, and what fits instead of a shirt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from decision.bundle.neighbours import FORMAT, Manifest, Neighbours, NeighbourStore, Origin, names_as_arrays
from tests.support import NOW

PRODUCTS = ("COFFEE", "FILTER", "GRINDER", "MACHINE", "MACHINE-2", "MUG", "SHIRT-L", "SHIRT-M", "SHIRT-X", "SHOES")
PLACE = {product: i for i, product in enumerate(PRODUCTS)}
TOGETHER = {
    "COFFEE": {"GRINDER": 0.5, "FILTER": 0.3, "MUG": 0.2},
    "MACHINE": {"MACHINE-2": 0.6, "COFFEE": 0.4},
    "MUG": {"COFFEE": 0.7, "SHOES": 0.1},
}
INSTEAD = {"SHIRT-M": {"SHIRT-X": 0.6, "SHIRT-L": 0.4}, "COFFEE": {"FILTER": 0.2}}


def lists(of: Mapping[str, Mapping[str, float]]) -> tuple[np.ndarray, np.ndarray]:
    places, weights = np.full((len(PRODUCTS), 3), -1, np.int32), np.zeros((len(PRODUCTS), 3), np.float32)
    for product, near in of.items():
        for k, (other, weight) in enumerate(near.items()):
            places[PLACE[product], k], weights[PLACE[product], k] = PLACE[other], weight
    return places, weights


def arrays(**changes: Any) -> dict[str, np.ndarray]:
    n = len(PRODUCTS)
    together, together_weight = lists(TOGETHER)
    instead, instead_weight = lists(INSTEAD)
    category, family = np.full(n, -1), np.full(n, -1)
    category[[PLACE["MACHINE"], PLACE["MACHINE-2"]]] = 0
    family[[PLACE["SHIRT-L"], PLACE["SHIRT-M"]]] = 0
    durable = np.zeros(n, dtype=bool)
    durable[[PLACE["MACHINE"], PLACE["MACHINE-2"], PLACE["GRINDER"]]] = True
    return {
        **names_as_arrays(PRODUCTS),
        "together": together,
        "together_weight": together_weight,
        "instead": instead,
        "instead_weight": instead_weight,
        "again": np.where(durable, 0.0, 0.25),
        "durable": durable,
        "category": category,
        "family": family,
        "variants": np.array([1] * 9 + [4]),
        "durable_category": np.array([True]),
        "return_rate": np.zeros(n),
        "popular": np.array([PLACE["MUG"], PLACE["FILTER"], PLACE["SHOES"]]),
    } | changes


def manifest(**changes: Any) -> Manifest:
    facts = {"format": FORMAT, "created_at": NOW, "decay": 0.5, "arrays_sha256": "", "origin": ORIGIN}
    return Manifest(**(facts | changes))


ORIGIN = Origin(run_id="", data_sha256="", baskets=0, customers=0, parameters={}, encore_version="")


def written(store: NeighbourStore, **changes: Any) -> Neighbours:
    return store.write(manifest(), arrays(**changes))
