"""Where the processes of a home count together: mapped files in memory, a set of them for each process.

prometheus_client names the files after process ids, and they pile up as workers are restarted. Here a process takes the
lowest place that nobody holds, with a lock that dies with it, and goes on with the files it finds there: what a killed
worker has counted stays counted, and there are never more files than processes at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from decision.errors import EncoreError

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
IN_MEMORY = Path("/dev/shm")
MOST = 1024
# Written in full from the start: a mapped page that finds no room when it is first touched kills its process.
SIZES = {"counter": 1 << 18, "histogram": 1 << 19, "gauge_sum": 1 << 16}


def folder_of(root: Path) -> Path:
    """Return the folder in which the processes of the home at `root` count.

    Not in the home: a disk that is full or slow must not be felt by who counts.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    base = IN_MEMORY if IN_MEMORY.is_dir() else Path(tempfile.gettempdir())
    digest = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return base / f"encore-{os.getuid()}-{digest}"


def prepared(folder: Path) -> Path:
    """Make the folder where it is missing and return it.

    Raises
    ------
    EncoreError : it can't be made, or belongs to someone else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise EncoreError(f"Expected to keep metrics in {folder}: {error.strerror}.", hint=_hint()) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise EncoreError(f"Expected {folder} to be a folder of this user, found another's.", hint=_hint())
    return folder


def _hint() -> str:
    return f"Name another folder in {VARIABLE}."


class Place:
    """A place in a folder, held until the process ends."""

    def __init__(self, folder: Path, number: int, descriptor: int) -> None:
        self.folder, self.number, self._descriptor = folder, number, descriptor

    def release(self) -> None:
        """Leave the place to others."""
        os.close(self._descriptor)

    def files(self) -> list[Path]:
        """Return the place's files."""
        return [self.folder / f"{kind}_{self.number}.db" for kind in SIZES]

    def furnish(self) -> None:
        """Make the files that are missing, and an empty one for gauges: what the last holder had in hand is gone.

        Raises
        ------
        OSError : there is no room for them.
        """
        for path, size in zip(self.files(), SIZES.values(), strict=True):
            if path.exists() and not path.name.startswith("gauge"):
                continue
            # Another process may be reading: it finds a whole file or none.
            new = path.with_suffix(".new")
            with new.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, size)
            new.replace(path)


def _taken(folder: Path, number: int) -> Place | None:
    descriptor = os.open(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Place(folder, number, descriptor)


def take(folder: Path) -> Place:
    """Take the lowest free place and furnish it. Raises `EncoreError` when there is no place or no room."""
    try:
        for number in range(MOST):
            place = _taken(folder, number)
            if place is not None:
                place.furnish()
                return place
    except OSError as error:
        raise EncoreError(f"Expected to keep metrics in {folder}: {error.strerror}.", hint=_hint()) from None
    raise EncoreError(f"Expected fewer than {MOST} processes to keep metrics in {folder}.", hint=_hint())


def clear(folder: Path) -> None:
    """Remove what ended processes have counted: counters start at nothing with a server.

    Places in which a process lives stay as they are.
    """
    for lock in folder.glob("*.lock"):
        place = _taken(folder, int(lock.stem))
        if place is not None:
            for path in place.files():
                path.unlink(missing_ok=True)
            place.release()
