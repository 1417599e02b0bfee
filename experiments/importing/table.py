"""A file of rows, CSV or Parquet, read in batches so that memory does not grow with the file."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TextIO

from decision.errors import InvalidInput

BATCH_ROWS = 10_000
Row = Sequence[Any]
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows. `first` is the number of the first, from 1; `advance` how far reading has come, in `Table.length`."""

    first: int
    rows: Sequence[Row]
    advance: int

    def numbered(self) -> Iterator[tuple[int, Row]]:
        """Yield each row with its number in the file."""
        return enumerate(self.rows, start=self.first)


class Table(Protocol):
    """Rows under named columns. A row may be shorter or longer than `columns` where the file is damaged."""

    @property
    def path(self) -> Path:
        """Return where the file is."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        ...

    @property
    def length(self) -> int:
        """Return the size that the `advance` of all batches adds up to."""
        ...

    def batches(self) -> Iterator[Batch]:
        """Yield all rows in the order of the file; each call starts again."""
        ...


def open_table(path: Path, *, delimiter: str = ",", encoding: str = "utf-8") -> Table:
    """Return the table in a file, by its ending. Raises `InvalidInput` when it can't be read as one."""
    if path.suffix.lower() == ".parquet":
        return ParquetTable(path)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return CsvTable(path, delimiter, "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    raise InvalidInput(f"Expected a file ending in .csv or .parquet, found {path.name}.", hint="Rename or convert it.")


class CsvTable:
    """A CSV file with a header line. Every cell is text; blank lines are no rows."""

    def __init__(self, path: Path, delimiter: str, encoding: str) -> None:
        self.path = path
        self._delimiter = delimiter
        self._encoding = encoding
        self.length = path.stat().st_size
        self._check_mark()
        with path.open(encoding=encoding, newline="") as file:
            self.columns = _checked(path, next(self._lines(file), []))

    def _lines(self, file: TextIO) -> Iterator[list[str]]:
        reader = csv.reader(file, delimiter=self._delimiter)
        try:
            lines = (line for line in reader if line)
            first = next(lines, [])
            # A spreadsheet's own note of the delimiter, before the names of the columns.
            if first and first != ["sep=", ""]:
                yield first
            yield from lines
        except UnicodeDecodeError as error:
            encoding = self._encoding.removesuffix("-sig")
            raise InvalidInput(
                f"Expected {encoding} text in {self.path}, found other bytes after line {reader.line_num}.",
                hint='Name the encoding in the mapping, for example [file] encoding = "cp1252" (Windows) or "latin-1".',
            ) from error
        except csv.Error as error:
            raise InvalidInput(
                f"Expected CSV in {self.path}, found something else after line {reader.line_num}: {error}.",
                hint="A quote that is never closed is the usual cause.",
            ) from error

    def _check_mark(self) -> None:
        """Refuse a file whose first bytes say another encoding: names and texts would be read as something else."""
        with self.path.open("rb") as raw:
            begins = raw.read(3)
        for mark, written in _MARKS.items():
            if begins.startswith(mark) and written not in self._encoding.lower().replace("_", "-"):
                raise InvalidInput(
                    f"Expected {self._encoding.removesuffix('-sig')} text in {self.path}, found the mark of {written}.",
                    hint=f'Say [file] encoding = "{written}" in the mapping.',
                )

    def batches(self) -> Iterator[Batch]:
        """See `Table.batches`."""
        with self.path.open("rb") as raw, io.TextIOWrapper(raw, encoding=self._encoding, newline="") as file:
            lines = self._lines(file)
            next(lines, None)
            first, before = 1, 0
            while rows := list(islice(lines, BATCH_ROWS)):
                position = raw.tell()
                yield Batch(first, rows, position - before)
                first, before = first + len(rows), position


class ParquetTable:
    """A Parquet file. Cells are Python values; a single-precision number is its shortest decimal, as text."""

    def __init__(self, path: Path) -> None:
        file = _parquet_file(path)
        self.path = path
        self.length = int(file.metadata.num_rows)
        self.columns = _checked(path, list(file.schema_arrow.names))
        file.close()

    def batches(self) -> Iterator[Batch]:
        """See `Table.batches`."""
        file = _parquet_file(self.path)
        first = 1
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            rows = list(zip(*(_values(column) for column in batch.columns), strict=True))
            yield Batch(first, rows, len(rows))
            first += len(rows)
        file.close()


def _parquet_file(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise InvalidInput(f"Expected Parquet in {path}, found something else: {error}.") from error


def _values(column: Any) -> list[Any]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        column = column.cast(pa.string())
    elif pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=kind.tz), safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError):
        # Times beyond the years 1 to 9999 are no Python values: as numbers of their unit, they are no readable times.
        values = [_value(cell) for cell in column]
    return values


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        return str(cell.value)


def _checked(path: Path, names: list[str]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if not names or twice:
        found = f"{', '.join(map(repr, twice))} more than once" if twice else "no columns"
        raise InvalidInput(f"Expected named columns in the first line of {path}, found {found}.")
    return tuple(names)
