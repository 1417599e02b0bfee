"""Bundles in a directory, one folder a version: `manifest.json` and `arrays.npz`, both checked by hash."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from decision.bundle.folders import read_folder, write_folder
from decision.bundle.manifest import FORMAT, POLICIES, Manifest
from decision.errors import InvalidBundle, NotFound

_UNREADABLE = (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A manifest and its arrays, verified."""

    manifest: Manifest
    arrays: Mapping[str, np.ndarray]

    @property
    def version(self) -> str:
        """Return the version."""
        return self.manifest.version


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of an .npz file; equal arrays give equal bytes. Object arrays are refused."""
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise InvalidBundle(f"Expected plain numbers in {name}, found objects.")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(sorted(arrays.items())))  # type: ignore[arg-type]
    return buffer.getvalue()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Return the arrays in the bytes of an .npz file; nothing in it can run code. Raises `InvalidBundle`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
    except _UNREADABLE as error:
        raise InvalidBundle(f"Expected an archive of plain arrays, found something else: {error}.") from None


def _array(data: bytes) -> np.ndarray:
    array: np.ndarray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


class BundleStore:
    """Reads and writes bundles under one directory."""

    def __init__(self, root: Path) -> None:
        """`root` is created on the first write."""
        self.root = root

    def write(self, manifest: Manifest, arrays: Mapping[str, np.ndarray]) -> Bundle:
        """Write a bundle whole or not at all, and return it with its version."""
        data = pack(arrays)
        manifest = msgspec.structs.replace(manifest, arrays_sha256=hashlib.sha256(data).hexdigest()).versioned()
        write_folder(self.root / manifest.version, manifest, data)
        return self.read(manifest.version)

    def read(self, version: str) -> Bundle:
        """Return a bundle after checking its format, version and hashes.

        Raises
        ------
        NotFound : there is no such version.
        InvalidBundle : the files are unreadable, altered, or of a format this version does not know.
        """
        manifest, data = read_folder(
            self.root / version, Manifest, readable="a readable bundle", missing=lambda: self._missing(version)
        )
        self._check(manifest, version, data)
        return Bundle(manifest, unpack(data))

    def _missing(self, version: str) -> NotFound:
        return NotFound(
            f"Expected a policy bundle {version!r} in {self.root}, found none.",
            hint=f"Known: {', '.join(self.versions()) or 'none; run `encore train`'}.",
        )

    @staticmethod
    def _check(manifest: Manifest, version: str, data: bytes) -> None:
        if manifest.format != FORMAT:
            raise InvalidBundle(f"Expected bundle format {FORMAT}, found {manifest.format}.", hint="Upgrade Encore.")
        if manifest.policy not in POLICIES:
            raise InvalidBundle(f"Expected a policy among {', '.join(POLICIES)}, found {manifest.policy!r}.")
        if hashlib.sha256(data).hexdigest() != manifest.arrays_sha256:
            raise InvalidBundle(f"Expected the arrays of {version} to match their hash; they were altered.")
        if not manifest.versioned().version == manifest.version == version:
            raise InvalidBundle(f"Expected the manifest of {version} to match its version; it was altered.")

    def versions(self) -> list[str]:
        """Return the versions there are, by time of writing."""
        if not self.root.exists():
            return []
        folders = [f for f in self.root.iterdir() if (f / "manifest.json").exists() and not f.name.startswith(".")]
        return [f.name for f in sorted(folders, key=lambda f: (f.stat().st_mtime_ns, f.name))]
