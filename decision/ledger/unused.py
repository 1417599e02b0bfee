"""Bytes of a SQLite file that belong to no row any more: found by what stands in them, and overwritten in place.

When a page is split SQLite copies half of its rows and leaves the old bytes where they were, until something else takes
their room. `secure_delete` does not reach them, and VACUUM writes the whole file anew while everybody waits. Which
bytes of a page are in use its header says: https://www.sqlite.org/fileformat2.html, sections 1.5 and 1.6.

It runs as a process of its own, `python -m decision.ledger.unused FILE`: a process that closes a file lets go of all
the locks that it has on it (https://www.sqlite.org/howtocorrupt.html, section 2.2), and a search would keep the threads
of a server waiting. It is told in lines of JSON: names first, which it answers with pages; then pages, each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TypeVar

import msgspec

from decision.errors import LedgerError

A = TypeVar("A")
HEADER = 100
BLOCK = 1 << 22
# The kinds of pages that hold rows, and the lengths of their headers.
TREES = {2: 12, 5: 12, 10: 8, 13: 8}
# From so many pages on, the number that an overflow page begins with may look like a kind.
MOST_PAGES = 2 << 24


class Left(msgspec.Struct, frozen=True):
    """What was not overwritten: pages where names stand in rows that live, and others that must be rebuilt."""

    live: tuple[int, ...] = ()
    other: tuple[int, ...] = ()


_pages = msgspec.json.Decoder(list[int])
_left = msgspec.json.Decoder(Left)


class File:
    """A database file whose write-ahead log is empty while it is written to."""

    def __init__(self, descriptor: int) -> None:
        """Read the size of its pages."""
        self._descriptor = descriptor
        size = int.from_bytes(os.pread(descriptor, 2, 16))
        self.page_bytes = 65_536 if size == 1 else size
        self._usable = self.page_bytes - os.pread(descriptor, 1, 20)[0]

    def find(self, names: Sequence[bytes]) -> list[int]:
        """Return the numbers of the pages in which a name stands, from 1 on."""
        found: set[int] = set()
        for start in range(0, os.fstat(self._descriptor).st_size, BLOCK):
            block = os.pread(self._descriptor, BLOCK, start)
            for name in names:
                found.update((start + at) // self.page_bytes + 1 for at in self._places(block, name))
        return sorted(found)

    def _places(self, block: bytes, name: bytes) -> Iterator[int]:
        at = block.find(name)
        while at >= 0:
            yield at
            # Once a page is enough.
            at = block.find(name, (at // self.page_bytes + 1) * self.page_bytes)

    def wipe(self, pages: Sequence[int], names: Sequence[bytes]) -> Left:
        """Overwrite what is unused in pages, durably, and return in which of them a name still stands."""
        if os.fstat(self._descriptor).st_size // self.page_bytes >= MOST_PAGES:
            return Left(other=tuple(pages))
        trunks, leaves = self._free()
        live: list[int] = []
        other: list[int] = []
        for number in pages:
            before = self._read(number)
            kind = before[HEADER if number == 1 else 0]
            if number in leaves:
                after = bytes(len(before))
            elif number in trunks:
                after = before[: 8 + 4 * _number(before, 4, 4)].ljust(len(before), b"\0")
            elif kind in TREES:
                after = self._blank(before, HEADER if number == 1 else 0)
            else:
                after = before
            if after != before:
                os.pwrite(self._descriptor, after, (number - 1) * self.page_bytes)
            if any(name in after for name in names):
                (live if kind in TREES and number not in trunks else other).append(number)
        os.fsync(self._descriptor)
        return Left(tuple(live), tuple(other))

    def _read(self, number: int) -> bytes:
        return os.pread(self._descriptor, self.page_bytes, (number - 1) * self.page_bytes)

    def _free(self) -> tuple[set[int], set[int]]:
        """Return the pages that the list of free pages stands in, and those it names."""
        trunks: set[int] = set()
        leaves: set[int] = set()
        trunk = _number(os.pread(self._descriptor, HEADER, 0), 32, 4)
        while trunk and trunk not in trunks:
            trunks.add(trunk)
            page = self._read(trunk)
            count = min(_number(page, 4, 4), self._usable // 4 - 2)
            leaves.update(_number(page, 8 + 4 * place, 4) for place in range(count))
            trunk = _number(page, 0, 4)
        return trunks, leaves

    def _blank(self, page: bytes, header: int) -> bytes:
        """Return a page of rows with zeros between its pointers and its rows, and in the holes between rows."""
        pointers = header + TREES[page[header]] + 2 * _number(page, header + 3, 2)
        rows = _number(page, header + 5, 2) or 65_536
        if not pointers <= rows <= self._usable:
            return page
        after = bytearray(page)
        after[pointers:rows] = bytes(rows - pointers)
        hole, last = _number(page, header + 1, 2), rows
        while hole:
            end = hole + _number(page, hole + 2, 2)
            if not last <= hole < hole + 4 <= end <= self._usable:
                return page
            after[hole + 4 : end] = bytes(end - hole - 4)
            hole, last = _number(page, hole, 2), end
        return bytes(after)


def _number(page: bytes, at: int, size: int) -> int:
    return int.from_bytes(page[at : at + size])


class Wiper:
    """The process that finds and overwrites, as its parent sees it."""

    def __init__(self, path: Path, names: frozenset[str]) -> None:
        """Start it. Names go through a pipe: a command line can be read by everybody on the machine."""
        command = [sys.executable, "-m", "decision.ledger.unused", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._names = sorted(name for name in names if name)

    def __enter__(self) -> Wiper:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def find(self) -> list[int]:
        """Return the pages in which a name stands; takes about a second for a gigabyte and a name."""
        return self._asked(self._names, _pages)

    def wipe(self, pages: Sequence[int]) -> Left:
        """Overwrite what is unused in pages. The caller keeps all others from writing."""
        return self._asked(pages, _left)

    def _asked(self, question: Sequence[object], answer: msgspec.json.Decoder[A]) -> A:
        to, back = self._process.stdin, self._process.stdout
        try:
            if to is None or back is None:
                raise OSError
            to.write(msgspec.json.encode(question) + b"\n")
            to.flush()
            return answer.decode(back.readline())
        except (OSError, msgspec.DecodeError):
            raise LedgerError("Expected old bytes to be overwritten, the process that does it has ended.") from None


def serve(path: str, asked: IO[bytes], answers: IO[bytes]) -> None:
    """Answer one parent until it closes the pipe."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        file, names = File(descriptor), msgspec.json.decode(asked.readline(), type=list[str])
        sought = [name.encode() for name in names]
        answers.write(msgspec.json.encode(file.find(sought)) + b"\n")
        answers.flush()
        for line in asked:
            answers.write(msgspec.json.encode(file.wipe(msgspec.json.decode(line, type=list[int]), sought)) + b"\n")
            answers.flush()
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    serve(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer)
