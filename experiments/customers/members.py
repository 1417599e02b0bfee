"""The customers of a segment, written to a file page by page."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from decision.errors import InvalidInput
from decision.ledger.people import Member, People
from decision.programme.section import unknown_name
from experiments.customers.values import SEGMENTS, predicted_values
from experiments.whole_file import whole_file

PAGE = 1_000


def kind_of(name: str) -> str:
    """Return which kind of segment a name is of. Raises `UnknownName`."""
    for kind, names in SEGMENTS.items():
        if name in names:
            return kind
    known = tuple(chain.from_iterable(SEGMENTS.values()))
    raise unknown_name("segment", name, known, pointer="NAME", hint="`encore segments` lists them.")


def members(people: People, kind: str, name: str) -> Iterator[Member]:
    """Yield the customers of a segment by id."""
    after = ""
    while page := people.members(kind, name, after=after, limit=PAGE):
        yield from page
        after = page[-1].customer_id


def write_members(people: People, kind: str, name: str, out: Path, *, advance: Callable[[int], None]) -> int:
    """Write the customers of a segment, whole or not at all, and return how many there are.

    Raises
    ------
    InvalidInput : the file's ending says none of the formats.
    """
    try:
        write = WRITERS[out.suffix]
    except KeyError:
        raise InvalidInput(f"Expected a file ending in {', '.join(WRITERS)}, found {out.name}.") from None
    written = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal written
        for one in members(people, kind, name):
            written += 1
            advance(1)
            yield {"customer_id": one.customer_id} | {column: one.values.get(column) for column in predicted_values()}

    with whole_file(out) as unfinished:
        write(unfinished, rows())
    return written


def _csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["customer_id", *predicted_values()])
        writer.writeheader()
        writer.writerows(rows)


def _ndjson(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _parquet(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {name: pa.float64() if m.kind == "number" else pa.string() for name, m in predicted_values().items()}
    schema = pa.schema([("customer_id", pa.string()), *kinds.items()])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        page: list[dict[str, Any]] = []
        for row in chain(rows, [None]):
            if row is not None:
                page.append(row)
            if page and (row is None or len(page) == PAGE):
                writer.write_table(pa.Table.from_pylist(page, schema=schema))
                page = []


WRITERS: dict[str, Callable[[Path, Iterable[dict[str, Any]]], None]] = {
    ".csv": _csv, ".parquet": _parquet, ".ndjson": _ndjson
}  # fmt: skip
