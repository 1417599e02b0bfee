"""What a shop may say of its products in a CSV file: name, category, family, and whether they are durable."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from decision.errors import InvalidInput

KNOWN = ("product", "name", "category", "family", "durable")
YES, NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0"})


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of one product; None where nothing is. Products of one `family` differ in size or colour."""

    name: str | None = None
    category: str | None = None
    family: str | None = None
    durable: bool | None = None


def read_catalogue(path: Path) -> Mapping[str, Facts]:
    """Return the facts by product. Further columns are of no interest.

    Raises
    ------
    InvalidInput : there is no column `product`, or a cell of `durable` is neither yes nor no.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if "product" not in (rows.fieldnames or ()):
            raise InvalidInput(
                f"Expected a column product in the first line of {path}, found {', '.join(rows.fieldnames or ())}.",
                hint=f"Columns that are read: {', '.join(KNOWN)}.",
            )
        return {row["product"]: _facts(row, f"line {rows.line_num} of {path}") for row in rows if row["product"]}


def _facts(row: Mapping[str, str | None], place: str) -> Facts:
    told = {name: (row.get(name) or "").strip() or None for name in KNOWN}
    durable = told["durable"]
    if durable is not None and durable.lower() not in YES | NO:
        raise InvalidInput(f"Expected yes or no under durable in {place}, found {durable!r}.")
    return Facts(told["name"], told["category"], told["family"], None if durable is None else durable.lower() in YES)
