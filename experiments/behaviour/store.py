"""Models as files, one folder a version: `models.json` and `arrays.npz`, checked by hash. Reading them runs no code."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from decision.bundle.store import pack, unpack
from decision.errors import InvalidBundle, NotFound
from experiments.behaviour.journal import date_of
from experiments.behaviour.models import Models

FORMAT = 1
JSON, ARRAYS = "models.json", "arrays.npz"


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `models.json` holds; arrays stand in it by their name in `arrays.npz`, trees as LightGBM's own text."""

    format: int
    arrays_sha256: str
    models: Any


def write(models: Models, root: Path) -> Models:
    """Write models under `root`, whole or not at all, and return them with their version."""
    arrays: dict[str, np.ndarray] = {}

    def place(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            name = f"a{len(arrays):03d}"
            arrays[name] = value
            return {"array": name}
        raise InvalidBundle(f"Expected plain numbers and arrays in models, found {type(value).__name__}.")

    built = msgspec.json.decode(msgspec.json.encode(replace(models, version=""), enc_hook=place))
    data = pack(arrays)
    manifest = Manifest(FORMAT, hashlib.sha256(data).hexdigest(), built)
    text = msgspec.json.encode(manifest, order="sorted")
    version = f"{date_of(models.cut):%Y%m%d}-{hashlib.sha256(text).hexdigest()[:10]}"
    root.mkdir(parents=True, exist_ok=True)
    target = root / version
    if not target.exists():
        draft = Path(tempfile.mkdtemp(dir=root, prefix=".draft-"))
        (draft / ARRAYS).write_bytes(data)
        (draft / JSON).write_bytes(text)
        draft.chmod(0o755)
        try:
            os.replace(draft, target)
        except OSError:
            # Another process was quicker; what it wrote has the same hash.
            shutil.rmtree(draft)
    return read(root, version)


def read(root: Path, version: str) -> Models:
    """Return the models of a version after checking its hashes.

    Raises
    ------
    NotFound : there is no such version.
    InvalidBundle : the files are unreadable, altered, or of a format this version does not know.
    """
    folder = root / version
    try:
        text, data = (folder / JSON).read_bytes(), (folder / ARRAYS).read_bytes()
    except OSError:
        known = ", ".join(versions(root)) or "none; run `encore customers train`"
        raise NotFound(
            f"Expected models of customers {version!r} in {root}, found none.", hint=f"Known: {known}."
        ) from None
    if not version.endswith(hashlib.sha256(text).hexdigest()[:10]):
        raise InvalidBundle(f"Expected {folder / JSON} as it was written, found it altered.")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
        if manifest.format != FORMAT:
            raise InvalidBundle(f"Expected models of format {FORMAT}, found {manifest.format}.")
        if hashlib.sha256(data).hexdigest() != manifest.arrays_sha256:
            raise InvalidBundle(f"Expected {folder / ARRAYS} as it was written, found it altered.")
        arrays = unpack(data)

        def restored(kind: Any, value: Any) -> Any:
            if isinstance(value, dict) and value.get("array") in arrays:
                return arrays[value["array"]]
            raise InvalidBundle(f"Expected an array of {kind} in {folder / JSON}, found {value!r}.")

        models = msgspec.convert(manifest.models, type=Models, dec_hook=restored)
    except msgspec.DecodeError as error:
        raise InvalidBundle(f"Expected models in {folder / JSON}: {error}.") from None
    return replace(models, version=version)


def versions(root: Path) -> list[str]:
    """Return the versions there are, oldest day first; of a day, the last written last."""
    if not root.is_dir():
        return []
    found = [folder for folder in root.iterdir() if not folder.name.startswith(".") and (folder / JSON).exists()]
    return [folder.name for folder in sorted(found, key=lambda f: (f.name[:8], f.stat().st_mtime_ns))]


def newest(root: Path) -> Models:
    """Return the newest models. Raises `NotFound` where there are none."""
    found = versions(root)
    return read(root, found[-1] if found else "newest")
