"""The use case: a shop's folder is kept in one file, and comes back from it whole or not at all."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from decision import __version__
from decision.bundle.shelf import FOLDER
from decision.errors import EncoreError, InvalidInput, NotFound
from decision.ledger import backup as ledger_copy

MANIFEST = "manifest.json"
LEDGER = "ledger.db"
PROGRAMME = "programme.toml"
BUNDLES = "bundles"


class Contents(msgspec.Struct, frozen=True):
    """The first member of a backup: when and by which version it was made, and the SHA-256 of every file."""

    made_at: datetime
    encore: str
    sha256: dict[str, str]


def backup(root: Path, file: Path, *, now: datetime, progress: ledger_copy.Progress | None = None) -> Contents:
    """Write programme, ledger, bundles and recommendations of the shop in `root` to the new tar `file`; it may serve.

    Raises
    ------
    InvalidInput : the file exists.
    NotFound : there is no ledger.
    LedgerError : the ledger can't be copied.
    """
    if file.exists():
        raise InvalidInput(f"Expected no file at {file}, found one.", hint="Give each backup a name of its own.")
    if not (root / LEDGER).exists():
        raise NotFound(f"Expected a ledger at {root / LEDGER}, found none.")
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=f".{file.name}-") as folder:
        copied = Path(folder) / LEDGER
        ledger_copy.copy(root / LEDGER, copied, progress=progress)
        # After the ledger: a bundle is written before it is promoted, so that every champion's is there.
        paths = {LEDGER: copied} | {
            str(path.relative_to(root)): path
            for path in (root / PROGRAMME, *_served(root))
            if path.is_file() and not path.parent.name.startswith(".") and not path.name.startswith(".")
        }
        contents = Contents(now, __version__, {name: _sha256(path) for name, path in paths.items()})
        whole = Path(folder) / "backup.tar"
        with open(whole, "xb", opener=_private) as raw:
            with tarfile.open(fileobj=raw, mode="w") as tar:
                _add_text(tar, MANIFEST, msgspec.json.encode(contents))
                for name, path in paths.items():
                    tar.add(path, arcname=name, recursive=False)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(whole, file)
    _sync(file.parent)
    return contents


def restore(file: Path, root: Path, *, now: datetime, replace: bool = False) -> Path | None:
    """Make the folder `root` anew from a backup, after checking all of it; it appears whole or not at all.

    With `replace`, a folder that is there already is kept beside the new one under another name, which is returned.

    Raises
    ------
    InvalidInput : the file is no backup or was altered, or `root` has content or is in use.
    LedgerError : the ledger in it is damaged, or newer than this version.
    """
    root = root.resolve()
    occupied = root.exists() and any(root.iterdir())
    if occupied and not replace:
        raise InvalidInput(
            f"Expected no folder or an empty one at {root}, found content.",
            hint="Restore into another --home, or say --replace to put this one aside.",
        )
    if occupied and (root / LEDGER).exists() and ledger_copy.is_open(root / LEDGER):
        raise InvalidInput(f"Expected nobody to use {root}, found its ledger open.", hint="Stop the service first.")
    root.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}-restoring-"))
    aside = root.with_name(f"{root.name}.before-{now:%Y%m%dT%H%M%S}") if occupied else None
    try:
        _unpack(file, fresh)
        ledger_copy.verify(fresh / LEDGER)
        for path in (*fresh.rglob("*"), fresh):
            _sync(path)
        if aside is not None:
            os.rename(root, aside)
        os.rename(fresh, root)
    except OSError as error:
        raise EncoreError(f"Expected to restore {file} into {root}: {error}.") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _sync(root.parent)
    return aside


def _unpack(file: Path, folder: Path) -> None:
    """Write the files of a backup into a folder, each checked against its hash."""
    try:
        with tarfile.open(file, mode="r:") as tar:
            members = {member.name: member for member in tar.getmembers()}
            found = tar.extractfile(members[MANIFEST])
            assert found is not None
            contents = msgspec.json.decode(found.read(), type=Contents)
            if LEDGER not in contents.sha256 or set(members) != {MANIFEST, *contents.sha256}:
                raise _altered(file, "the files that its manifest lists")
            for name, expected in contents.sha256.items():
                source = tar.extractfile(members[name]) if _belongs(name) else None
                if source is None:
                    raise _altered(file, f"files of a shop, not {name!r},")
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "xb", opener=_private) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                if _sha256(path) != expected:
                    raise _altered(file, f"{name} to match its hash")
    except FileNotFoundError:
        raise NotFound(f"Expected a backup at {file}, found no file.") from None
    except (tarfile.TarError, KeyError, AssertionError, msgspec.MsgspecError) as error:
        raise _altered(file, f"a file that `encore backup` wrote ({error})") from error


def _served(root: Path) -> list[Path]:
    patterns = (f"{BUNDLES}/*/*", f"{FOLDER}/*", f"{FOLDER}/*/*")
    return sorted(path for pattern in patterns for path in root.glob(pattern))


def _altered(file: Path, expected: str) -> InvalidInput:
    return InvalidInput(f"Expected {expected} in {file}, found otherwise.", hint="Take another backup.")


def _belongs(name: str) -> bool:
    parts = PurePosixPath(name).parts
    depths = {BUNDLES: (3,), FOLDER: (2, 3)}
    return name in (LEDGER, PROGRAMME) or (len(parts) in depths.get(parts[0], ()) and ".." not in parts)


def _add_text(tar: tarfile.TarFile, name: str, text: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text)
    tar.addfile(member, io.BytesIO(text))


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
