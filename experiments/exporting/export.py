"""The use case: everything the ledger holds, as files in a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

from decision.errors import InvalidInput
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from experiments.exporting.readme import readme
from experiments.exporting.sources import Snapshot, Source, sources
from experiments.exporting.writers import WRITERS
from experiments.whole_file import whole_file

Advance = Callable[[int], None]


def export_ledger(
    folder: Path,
    *,
    ledger: Ledger,
    snapshot: Snapshot,
    programme: Programme,
    programme_path: Path,
    form: str,
    tables: Sequence[str],
    now: datetime,
    advance: Advance = lambda _: None,
) -> Mapping[str, int]:
    """Write `tables` in the format `form` to a new folder, README.txt last; return the rows of each.

    `advance` is told how many records of the ledger have been written, as `Snapshot` counts them.

    Raises
    ------
    InvalidInput : the folder holds something already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"Expected a new or empty folder, found files in {folder}.", hint="Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    makers = sources(ledger, programme, snapshot)
    written = {}
    for table in tables:
        source = makers[table]()
        written[table] = (source.columns, _write(folder / f"{table}.{form}", form, source, advance))
    (folder / "programme.toml").write_bytes(programme_path.read_bytes())
    text = readme(written, form=form, programme=programme, now=now)
    (folder / "README.txt").write_text(text, encoding="utf-8")
    return {table: n for table, (_, n) in written.items()}


def _write(path: Path, form: str, source: Source, advance: Advance) -> int:
    n = 0
    with whole_file(path) as unfinished, closing(WRITERS[form](unfinished, source.columns)) as writer:
        for records, rows in source.chunks():
            writer.write(rows)
            n += len(rows)
            advance(records)
    return n
