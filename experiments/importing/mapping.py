"""What both mappings share: reading the TOML, naming columns of the file, and the error that lists all mistakes."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from decision.errors import EncoreError, counted
from decision.programme.section import Problems, Section, unknown
from experiments.importing.cells import SERIAL, Clock
from experiments.importing.figures import GROUPS, PLAIN, POINTS, Figures
from experiments.importing.table import Table, open_table

DELIMITERS = (";", "\t", "|", ",")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,40}")


class InvalidMapping(EncoreError):
    """A mapping has mistakes; `problems` lists each with its line and place."""

    def __init__(self, path: Path, problems: list[str]) -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        super().__init__(f"{path} has {counted(len(problems), 'mistake')}:{lines}")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Draft:
    """A mapping that is being read: its root table, its mistakes so far, the table it is about, and its figures."""

    path: Path
    root: Section
    problems: Problems
    table: Table
    figures: Figures = PLAIN

    def column(self, section: Section, key: str) -> str:
        """Return the column that a key names; one that the file does not have is a mistake."""
        name = section.text(key)
        if section.has(key) and isinstance(section.table[key], str) and name not in self.table.columns:
            section.wrong(key, unknown("column", name, self.table.columns))
        return name

    def optional_column(self, section: Section, key: str) -> str | None:
        """Return the column that a key names, or None where the key is absent."""
        return self.column(section, key) if section.has(key) else None

    def finish(self) -> None:
        """Raise `InvalidMapping` with every mistake found."""
        self.root.finish()
        if self.problems.found:
            raise InvalidMapping(self.path, self.problems.found)


def begin(path: Path, file: Path) -> Draft:
    """Read the mapping at `path` and open the file it is about, as its table [file] says.

    Raises
    ------
    InvalidMapping : it is not TOML, or [file] has mistakes.
    InvalidInput : the file can't be read as a table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidMapping(path, [f"not valid TOML: {error}"]) from None
    problems = Problems(text)
    root = Section("", tables, problems)
    section = root.sub("file")
    delimiter = section.text("delimiter", ",")
    encoding = section.text("encoding", "utf-8")
    figures = _figures(section)
    section.finish()
    if len(delimiter) != 1:
        section.wrong("delimiter", f'expected one character such as ";", found {delimiter!r}')
    try:
        "".encode(encoding)
    except LookupError:
        section.wrong("encoding", f"expected an encoding such as latin-1, found {encoding!r}")
    if problems.found:
        raise InvalidMapping(path, problems.found)
    if figures != PLAIN and file.suffix.lower() == ".parquet":
        section.wrong("decimal", "expected none for a Parquet file, which keeps numbers as numbers")
        raise InvalidMapping(path, problems.found)
    table = open_table(file, delimiter=delimiter, encoding=encoding)
    other = next((mark for mark in DELIMITERS if len(table.columns) == 1 and mark in table.columns[0]), None)
    if other is not None:
        section.wrong("delimiter", f"expected the one between columns of {file.name}, which looks like {other!r}")
        raise InvalidMapping(path, problems.found)
    return Draft(path, root, problems, table, figures)


def _figures(section: Section) -> Figures:
    """Return how the file writes numbers: `decimal` and `thousands`."""
    point, thousands = section.raw("decimal", "."), section.raw("thousands", "")
    if point not in POINTS:
        section.wrong("decimal", f'expected "." or ",", found {point!r}')
    elif thousands not in ("", *GROUPS):
        section.wrong("thousands", f"""expected ".", ",", " " or "'", found {thousands!r}; leave it out for none""")
    elif thousands == point:
        section.wrong("thousands", f"expected another mark than that of `decimal`, found {thousands!r} for both")
    else:
        return Figures(point, thousands)
    return PLAIN


def name_of(section: Section) -> str:
    """Return the name that goes into the ids of everything imported."""
    name = section.text("name")
    if not _NAME.fullmatch(name):
        section.wrong("name", f"expected up to 40 letters, digits and _ . -, found {name!r}")
    return name


def clock_of(section: Section, default: ZoneInfo) -> Clock:
    """Return how times are written: `timezone` and `time_format`."""
    name = section.text("timezone", default.key)
    pattern = section.text("time_format", "") if section.has("time_format") else ""
    if pattern and not _is_pattern(pattern):
        section.wrong("time_format", f'expected a pattern such as "%d/%m/%Y %H:%M", or "excel", found {pattern!r}')
        pattern = ""
    try:
        return Clock(ZoneInfo(name), pattern)
    except (ZoneInfoNotFoundError, ValueError):
        section.wrong("timezone", f"expected a time zone such as Europe/London, found {name!r}")
        return Clock(default)


def _is_pattern(pattern: str) -> bool:
    """Return whether a pattern reads a day back that it has written."""
    day = datetime(2026, 12, 31)
    try:
        return pattern == SERIAL or datetime.strptime(day.strftime(pattern), pattern).date() == day.date()
    except (ValueError, re.error):
        return False
