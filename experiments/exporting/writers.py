"""Flat rows into files: one writer a format, one line in `WRITERS`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from experiments.exporting.columns import Column, Kind


class Writer(Protocol):
    """Takes rows in chunks; the file is whole after `close`."""

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append rows."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class ParquetWriter:
    """Parquet with exact types: 64-bit integers and floats, times in UTC to the microsecond."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = {
            Kind.WHOLE: pa.int64(),
            Kind.NUMBER: pa.float64(),
            Kind.FLAG: pa.bool_(),
            Kind.TIME: pa.timestamp("us", tz="UTC"),
        }
        self._schema = pa.schema([(column.name, kinds.get(column.kind, pa.string())) for column in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """See `Writer.write`."""
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(list(records), schema=self._schema))

    def close(self) -> None:
        """See `Writer.close`."""
        self._writer.close()


class CsvWriter:
    """CSV in UTF-8: empty for unknown, true and false, ISO 8601 times, numbers to their last digit."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow(self._names)

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """See `Writer.write`."""
        self._writer.writerows([_cell(record[name]) for name in self._names] for record in records)

    def close(self) -> None:
        """See `Writer.close`."""
        self._file.close()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else value


WRITERS: Mapping[str, Callable[[Path, Sequence[Column]], Writer]] = {"parquet": ParquetWriter, "csv": CsvWriter}
