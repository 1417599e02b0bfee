"""A version in a folder of its own: `manifest.json` and `arrays.npz`, written whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from decision.errors import InvalidBundle, NotFound

M = TypeVar("M", bound=msgspec.Struct)


def version_of(bare: msgspec.Struct, created_at: datetime) -> str:
    """Return the version that the content of a manifest gives, which has none itself."""
    digest = hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()[:10]
    return f"{created_at:%Y%m%d}-{digest}"


def write_folder(target: Path, manifest: msgspec.Struct, data: bytes) -> None:
    """Write a manifest and the bytes of its arrays, unless the folder is there already."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=".draft-"))
    (draft / "arrays.npz").write_bytes(data)
    (draft / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    if target.exists():
        shutil.rmtree(draft)
    else:
        draft.chmod(0o755)
        os.replace(draft, target)


def read_folder(folder: Path, kind: type[M], *, readable: str, missing: Callable[[], NotFound]) -> tuple[M, bytes]:
    """Return the manifest in a folder and the bytes of its arrays; nothing of it is checked yet.

    `readable` says what was expected there, `missing` makes the error where there is no such folder.

    Raises
    ------
    NotFound : what `missing` gives.
    InvalidBundle : the files can't be read, or the manifest is none.
    """
    try:
        text, data = (folder / "manifest.json").read_bytes(), (folder / "arrays.npz").read_bytes()
    except FileNotFoundError:
        raise missing() from None
    except OSError as error:
        raise InvalidBundle(f"Expected {readable} at {folder}: {error}.") from None
    try:
        return msgspec.json.decode(text, type=kind), data
    except msgspec.DecodeError as error:
        raise InvalidBundle(f"Expected a manifest in {folder}, found something else: {error}.") from None
