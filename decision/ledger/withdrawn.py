"""Decisions that were answered control at the deadline while their row was on its way to the disk.

Who was answered control must find control in the log. The row can't be called back, and may become visible to other
processes before anybody can correct it. So the decision is put on a list first, a file beside the ledger, and then
control is answered. Whoever finds a row that is on the list reads it as control; the next group that is committed, by
whichever process, corrects the row and empties the list. A process that is killed in between leaves the list behind.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A decision: its id, and when it was made in microseconds since 1970, which tells it from a repeat of the question.
Mark = tuple[str, int]


class Withdrawn:
    """The list of withdrawn decisions beside a ledger, shared by all processes."""

    def __init__(self, path: Path) -> None:
        """`path` may be missing, which takes longer to find than that it is empty."""
        self._path, self._name = path, str(path)

    @staticmethod
    def beside(ledger: Path) -> Withdrawn:
        """Return the list of the ledger at a path."""
        return Withdrawn(ledger.with_name(f"{ledger.name}.withdrawn"))

    def create(self) -> None:
        """Make an empty list where there is none."""
        self._path.touch(0o600)

    def add(self, mark: Mark) -> None:
        """Put a decision on the list. Raises `OSError` when it can't be written."""
        line = f"{mark[0]} {mark[1]}\n".encode()
        with self._locked(os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, size)
                raise OSError(f"Expected {len(line)} bytes to be written to {self._path}, found fewer.")

    def marks(self) -> frozenset[Mark]:
        """Return the decisions on the list."""
        try:
            # Asked for every group of decisions, for which a Path takes its time.
            if os.stat(self._name).st_size == 0:
                return frozenset()
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return frozenset()
        # The last line may be one that is being written.
        whole = (line.split() for line in lines if line.endswith("\n"))
        return frozenset((words[0], int(words[1])) for words in whole if len(words) == 2)

    def remove(self, corrected: frozenset[Mark]) -> None:
        """Take decisions off the list once their rows say control."""
        with self._locked(os.O_RDWR) as descriptor:
            # What has come meanwhile stays; and so does all of it then, as a row can be corrected twice.
            if self.marks() <= corrected:
                os.ftruncate(descriptor, 0)

    @contextmanager
    def _locked(self, flags: int) -> Iterator[int]:
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
