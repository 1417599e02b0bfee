"""What a server recommends from at a moment: the trained neighbours, and lists of products that are held back."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

from decision.bundle.neighbours import CURRENT, Neighbours, NeighbourStore
from decision.errors import EncoreError, InvalidInput

FOLDER = "recommendations"
PROBLEMS = "problem_products.csv"
OUT_OF_STOCK = "out_of_stock.csv"
COLUMN = "product"
Stamp = tuple[int, int]
NEVER: Stamp = (0, 0)


@dataclass(frozen=True, slots=True)
class Shelf:
    """`stamps` are those of the files that were read; a file that is not there holds nothing back."""

    neighbours: Neighbours | None = None
    problems: frozenset[str] = frozenset()
    out_of_stock: frozenset[str] = frozenset()
    stamps: tuple[Stamp, Stamp, Stamp] = (NEVER, NEVER, NEVER)


def fresh_shelf(home: Path, before: Shelf) -> tuple[Shelf, EncoreError | None]:
    """Return the shelf of a shop as its files are now, and what was wrong with one; the last good of it then stays."""
    root = home / FOLDER
    paths = (root / CURRENT, root / PROBLEMS, root / OUT_OF_STOCK)
    stamps = (_stamp(paths[0]), _stamp(paths[1]), _stamp(paths[2]))
    if stamps == before.stamps:
        return before, None
    # A file that can't be read is tried again when it changes, not twice a second.
    shelf, wrong = replace(before, stamps=stamps), None
    for i, name in enumerate(("neighbours", "problems", "out_of_stock")):
        if stamps[i] == before.stamps[i]:
            continue
        try:
            found = _served(root) if name == "neighbours" else products_in(paths[i])
            shelf = replace(shelf, **{name: found})  # type: ignore[arg-type]
        except EncoreError as error:
            wrong = error
    return shelf, wrong


def _served(root: Path) -> Neighbours | None:
    store = NeighbourStore(root)
    version = store.current
    return None if version is None else store.read(version)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return NEVER
    return found.st_mtime_ns, found.st_ino


def products_in(path: Path) -> frozenset[str]:
    """Return the column `product` of a CSV file; nothing where there is no file.

    Raises
    ------
    InvalidInput : the file has no such column or can't be read as text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            if COLUMN not in (rows.fieldnames or ()):
                found = ", ".join(rows.fieldnames or ()) or "nothing"
                raise InvalidInput(f"Expected a column {COLUMN} in the first line of {path}, found {found}.")
            return frozenset(row[COLUMN] for row in rows if row[COLUMN])
    except FileNotFoundError:
        return frozenset()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"Expected a CSV file of products at {path}, found: {error}.") from None
