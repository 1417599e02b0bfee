"""Reads one table of a TOML file key by key; notes every mistake with its place instead of stopping at the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any, TypeVar

from decision.errors import InvalidInput, UnknownName
from decision.money import to_micros

T = TypeVar("T")
_HEADER = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
# Ids of actions and budgets are put together with these marks.
_NAME = re.compile(r"[^.@|\x00-\x1f]+")
_KEY = re.compile(r"^\s*([A-Za-z0-9_\-.\"']+)\s*=")


def line_numbers(text: str) -> dict[str, int]:
    """Return the line of every table header and key of a TOML text, by dotted path; the first one wins."""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = header[1].replace('"', "").replace(" ", "")
            _note(lines, table, number)
        elif key := _KEY.match(line):
            name = key[1].replace('"', "")
            _note(lines, f"{table}.{name}" if table else name, number)
    return lines


def _note(lines: dict[str, int], path: str, number: int) -> None:
    while path:
        lines.setdefault(path, number)
        path = path.rpartition(".")[0]


class Problems:
    """Collects mistakes as `line 12, offers.bogo.percent: …`."""

    def __init__(self, text: str) -> None:
        self._lines = line_numbers(text)
        self._noted: list[tuple[str, str]] = []

    def add(self, path: str, sentence: str) -> None:
        """Note a mistake at a dotted path."""
        self._noted.append((path, sentence))

    def forget(self, path: str) -> None:
        """Drop what was noted at a path: another mistake explains it."""
        self._noted = [(place, sentence) for place, sentence in self._noted if place != path]

    def any_at(self, path: str) -> bool:
        """Return whether a mistake was noted at a path or below it."""
        return any(place == path or place.startswith(f"{path}.") for place, _ in self._noted)

    @property
    def found(self) -> list[str]:
        """Return the mistakes in the order of their lines."""
        placed = [(self._line(path), path, sentence) for path, sentence in self._noted]
        placed.sort(key=lambda mistake: mistake[0])
        return [
            f"line {line}, {path}: {sentence}" if line else f"{path}: {sentence}" for line, path, sentence in placed
        ]

    def _line(self, path: str) -> int:
        """Return the line of the nearest enclosing key that the text has; 0 where it has none."""
        while path and path not in self._lines:
            path = path.rpartition(".")[0]
        return self._lines.get(path, 0)


class Section:
    """One table: typed reads that note what was expected and found; unread keys are mistakes at the end."""

    def __init__(self, path: str, table: object, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self._read: set[str] = set()
        self._misspelt: set[str] = set()
        if not isinstance(table, Mapping):
            self.wrong("", f"expected a table, found {shown(table)}")
            table = {}
        self.table: Mapping[str, Any] = table

    def at(self, key: str) -> str:
        """Return the dotted path of a key in this table."""
        return ".".join(part for part in (self.path, key) if part)

    def wrong(self, key: str, sentence: str) -> None:
        """Note a mistake at a key."""
        self.problems.add(self.at(key), sentence)

    def wrong_as_a_whole(self, key: str, sentence: str) -> None:
        """Note a mistake about what several keys say together, unless one of them is wrong and may explain it."""
        if key not in self._misspelt and not self.problems.any_at(self.at(key)):
            self.wrong(key, sentence)

    def has(self, key: str) -> bool:
        """Return whether the key is given."""
        return key in self.table

    def raw(self, key: str, default: Any = None) -> Any:
        """Return the value as TOML gave it."""
        self._read.add(key)
        return self.table.get(key, default)

    def pass_over(self, *keys: str) -> None:
        """Take keys as read, whatever they say."""
        self._read.update(keys)

    def sub(self, key: str) -> Section:
        """Return a table inside this one; an absent one is empty."""
        return Section(self.at(key), self.raw(key, {}), self.problems)

    def subs(self, key: str) -> dict[str, Section]:
        """Return the named tables inside a table, in the order of the file."""
        outer = self.sub(key)
        for name in outer.table:
            if not _NAME.fullmatch(name):
                outer.wrong(name, f"expected a name without . @ | and control characters, found {name!r}")
        return {name: outer.sub(name) for name in outer.table}

    def take(self, key: str, default: T | None, stand_in: T, read: Callable[[Any], T], expected: str) -> T:
        """Return the value read; after a mistake the default or `stand_in`, so that the rest is still checked."""
        value = self.raw(key)
        if value is None and default is not None:
            return default
        sentence = f"expected {expected}, found {shown(value)}"
        try:
            if value is not None:
                return read(value)
        except InvalidInput as error:
            sentence = error.message[0].lower() + error.message[1:].removesuffix(".")
        except (TypeError, ValueError, InvalidOperation):
            pass
        self.wrong(key, sentence)
        return stand_in if default is None else default

    def text(self, key: str, default: str | None = None, *, one_of: tuple[str, ...] = ()) -> str:
        """Return a string, one of `one_of` where given."""

        def read(value: Any) -> str:
            if not isinstance(value, str) or not value or (one_of and value not in one_of):
                raise ValueError
            return value

        expected = f"one of {', '.join(one_of)}" if one_of else "a text"
        return self.take(key, default, one_of[0] if one_of else "unnamed", read, expected)

    def number(self, key: str, default: float | None = None, *, low: float = 0.0, high: float = 1e9) -> float:
        """Return a number between `low` and `high`."""

        def read(value: Any) -> float:
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise ValueError
            return float(value)

        return self.take(key, default, low, read, f"a number from {low:g} to {high:g}")

    def whole(self, key: str, default: int | None = None, *, low: int = 0, high: int = 10**9) -> int:
        """Return a whole number between `low` and `high`."""

        def read(value: Any) -> int:
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise ValueError
            return value

        return self.take(key, default, low, read, f"a whole number from {low} to {high}")

    def money(self, key: str, default: str | None = None) -> int:
        """Return micros from an amount in quotes such as "4.50"; a bare 4.5 is a binary float and refused."""

        def read(value: Any) -> int:
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise ValueError
            return to_micros(Decimal(value))

        fallback = None if default is None else to_micros(Decimal(default))
        return self.take(key, fallback, 0, read, 'an amount in quotes such as "4.50"')

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""

        def read(value: Any) -> bool:
            if not isinstance(value, bool):
                raise ValueError
            return value

        return self.take(key, default, default, read, "true or false")

    def texts(self, key: str, *, known: tuple[str, ...] | None = None, what: str = "text") -> tuple[str, ...]:
        """Return a list of strings, each one of `known` where given."""
        value = self.raw(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.wrong(key, f"expected a list of texts, found {shown(value)}")
            return ()
        for item in sorted({item for item in value if value.count(item) > 1}):
            self.wrong(key, f"expected each once, found {item!r} {value.count(item)} times")
        if known is not None:
            for item in value:
                if item not in known:
                    self.wrong(key, unknown(what, item, known))
        return tuple(value)

    def day(self, key: str) -> date | None:
        """Return a date such as 2026-12-24, or None."""
        value = self.raw(key)
        if value is not None and type(value) is not date:
            self.wrong(key, f"expected a date such as 2026-12-24 without quotes, found {shown(value)}")
            return None
        return value

    def finish(self) -> None:
        """Note every key that nothing has read, instead of the missing one that it was meant to be."""
        absent = [key for key in sorted(self._read) if key not in self.table]
        for key in self.table:
            if key not in self._read:
                self.wrong(key, unknown("key", key, tuple(sorted(self._read))))
                for meant in get_close_matches(key, absent, n=1):
                    self.problems.forget(self.at(meant))
                    self._misspelt.add(meant)


def shown(value: object) -> str:
    """Return a value of TOML as a person would write it; "nothing" for none."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date | time) else repr(value)


def unknown_name(
    what: str, found: str, known: tuple[str, ...], *, pointer: str, hint: str = "", meant: str | None = None
) -> UnknownName:
    """Return the error for an unknown name at a place in a request; see `unknown` for `meant`."""
    sentence = unknown(what, found, known, meant=meant)
    ending = "" if sentence.endswith("?") else "."
    return UnknownName(f"At {pointer}: {sentence}{ending}", hint=hint, pointer=pointer)


def unknown(what: str, found: str, known: tuple[str, ...], *, meant: str | None = None) -> str:
    """Return the sentence for an unknown name, with the known one that was `meant` or is spelt most like it."""
    near = [meant] if meant else get_close_matches(found, known, n=1)
    suggestion = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown {what} {found!r}; {suggestion}"
