"""What is recommended from: each product's neighbours in plain arrays, checked by hash. Loading can't run code."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from decision.bundle.folders import read_folder, version_of, write_folder
from decision.bundle.store import pack, unpack
from decision.errors import InvalidBundle, NotFound
from decision.records import BoolArray, FloatArray, IntArray

FORMAT = 1
CURRENT = "current"
NOBODY = -1
LISTS = ("together", "instead")
PER_PRODUCT = ("again", "durable", "category", "family", "variants", "return_rate")


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where an artefact comes from: enough to find its run and its data again."""

    run_id: str
    data_sha256: str
    baskets: int
    customers: int
    parameters: dict[str, float]
    encore_version: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`decay` is what a basket weighs against the one after it; `version` ends in a hash over all other fields."""

    format: int
    created_at: datetime
    decay: float
    arrays_sha256: str
    origin: Origin
    version: str = ""

    def versioned(self) -> Manifest:
        """Return the manifest with the version that its content gives."""
        bare = msgspec.structs.replace(self, version="")
        return msgspec.structs.replace(self, version=version_of(bare, self.created_at))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """N products and what goes with each or stands in for it.

    `together` and `instead` [N, K] are places of products, -1 where there are fewer, with weights [N, K] that hold the
    neighbour's own demand already. `again` [N] weighs a product for who bought it before; `durable` [N] says that
    buyers seldom buy it again, `durable_category` [C] the same of a category. `category` and `family` (the same
    product in other sizes or colours) [N] are -1 where unknown; `variants` [N] counts sizes sold under one id.
    `return_rate` [N] is a share; `popular` [P] are places, the best seller of late first.
    """

    manifest: Manifest
    products: tuple[str, ...]
    place: Mapping[str, int]
    together: NDArray[np.int32]
    together_weight: NDArray[np.float32]
    instead: NDArray[np.int32]
    instead_weight: NDArray[np.float32]
    again: FloatArray
    durable: BoolArray
    category: IntArray
    family: IntArray
    variants: IntArray
    durable_category: BoolArray
    return_rate: FloatArray
    popular: IntArray


def names_as_arrays(names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Return texts as arrays of numbers: their bytes, and where each ends."""
    encoded = [name.encode() for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return {"names": np.frombuffer(b"".join(encoded), dtype=np.uint8), "names_end": ends}


def _names(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[str, ...]:
    text, ends = arrays["names"].tobytes(), arrays["names_end"].tolist()
    return tuple(text[start:end].decode() for start, end in zip([0, *ends], ends, strict=False))


class NeighbourStore:
    """Artefacts in a directory, one folder a version; the file `current` names the one that serves."""

    def __init__(self, root: Path) -> None:
        """`root` is created on the first write."""
        self.root = root

    def write(self, manifest: Manifest, arrays: Mapping[str, NDArray[np.generic]]) -> Neighbours:
        """Write an artefact whole or not at all, and return it with its version; it does not serve yet."""
        data = pack(arrays)
        manifest = msgspec.structs.replace(manifest, arrays_sha256=hashlib.sha256(data).hexdigest()).versioned()
        write_folder(self.root / manifest.version, manifest, data)
        return self.read(manifest.version)

    def use(self, version: str) -> None:
        """Let a version serve; running servers follow."""
        self.read(version)
        draft = self.root / f".{CURRENT}-{os.getpid()}"
        draft.write_text(version + "\n")
        os.replace(draft, self.root / CURRENT)

    @property
    def current(self) -> str | None:
        """Return the version that serves, or None before the first."""
        try:
            return (self.root / CURRENT).read_text().strip()
        except FileNotFoundError:
            return None

    def versions(self) -> list[str]:
        """Return all versions, oldest first."""
        return sorted(path.parent.name for path in self.root.glob("[!.]*/manifest.json"))

    def read(self, version: str) -> Neighbours:
        """Return an artefact after checking its format, version, hashes and shapes.

        Raises
        ------
        NotFound : there is no such version.
        InvalidBundle : the files are unreadable, altered, do not fit together, or are of another format.
        """
        folder = self.root / version
        manifest, data = read_folder(
            folder, Manifest, readable="readable recommendations", missing=lambda: self._missing(version)
        )
        if manifest.format != FORMAT:
            raise InvalidBundle(f"Expected recommendations of format {FORMAT} in {folder}, found {manifest.format}.")
        is_whole = manifest.version == version == manifest.versioned().version
        if not is_whole or hashlib.sha256(data).hexdigest() != manifest.arrays_sha256:
            raise InvalidBundle(f"Expected {folder} as it was written, found it altered.", hint="Train again.")
        return _neighbours(manifest, unpack(data))

    def _missing(self, version: str) -> NotFound:
        return NotFound(
            f"Expected recommendations {version!r} in {self.root}, found none.",
            hint=f"Known: {', '.join(self.versions()) or 'none; run `encore recommend train`'}.",
        )


def _neighbours(manifest: Manifest, arrays: Mapping[str, NDArray[np.generic]]) -> Neighbours:
    try:
        products = _names(arrays)
        found = Neighbours(
            manifest=manifest,
            products=products,
            place={product: i for i, product in enumerate(products)},
            together=arrays["together"].astype(np.int32),
            together_weight=arrays["together_weight"].astype(np.float32),
            instead=arrays["instead"].astype(np.int32),
            instead_weight=arrays["instead_weight"].astype(np.float32),
            again=arrays["again"].astype(np.float64),
            durable=arrays["durable"].astype(np.bool_),
            category=arrays["category"].astype(np.int64),
            family=arrays["family"].astype(np.int64),
            variants=arrays["variants"].astype(np.int64),
            durable_category=arrays["durable_category"].astype(np.bool_),
            return_rate=arrays["return_rate"].astype(np.float64),
            popular=arrays["popular"].astype(np.int64),
        )
    except KeyError as missing:
        raise InvalidBundle(f"Expected the array {missing} in {manifest.version}, found none.") from None
    except (ValueError, TypeError) as error:
        raise InvalidBundle(f"Expected plain arrays in {manifest.version}, found: {error}.") from None
    _check(found)
    return found


def _check(found: Neighbours) -> None:
    """Raise `InvalidBundle` where arrays do not fit together: better here than at the till."""
    n = len(found.products)
    fit = len(found.place) == n and all(getattr(found, name).shape == (n,) for name in PER_PRODUCT)
    for name in LISTS:
        places, weights = getattr(found, name), getattr(found, f"{name}_weight")
        fit = fit and places.ndim == 2 and len(places) == n and places.shape == weights.shape
        fit = fit and bool(np.isfinite(weights).all()) and _within(places, n)
    fit = fit and found.popular.ndim == 1 and _within(found.popular, n) and not (found.popular < 0).any()
    fit = fit and _within(found.category, len(found.durable_category))
    if not fit:
        raise InvalidBundle(f"Expected arrays over {n} products in {found.manifest.version}, found others.")


def _within(places: NDArray[np.signedinteger[Any]], n: int) -> bool:
    return bool(((places >= NOBODY) & (places < n)).all())
