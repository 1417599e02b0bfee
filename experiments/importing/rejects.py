"""Rows that can't be used: which, why, and a file that holds them as they came."""

from __future__ import annotations

import csv
import os
from collections import Counter
from pathlib import Path

from experiments.importing.table import Table


class Rejects:
    """The reason of every rejected row, by its number in the file."""

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, number: int, reason: str) -> None:
        """Note why a row can't be used; the first reason stays."""
        self._reasons.setdefault(number, reason)

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows each reason took, the most frequent first."""
        return dict(Counter(self._reasons.values()).most_common())

    def write(self, table: Table, path: Path) -> Path | None:
        """Write the rejected rows of `table` with number and reason as CSV; without any, remove an earlier file."""
        if not self._reasons:
            path.unlink(missing_ok=True)
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "reason", *table.columns])
            for batch in table.batches():
                writer.writerows(
                    [number, self._reasons[number], *row] for number, row in batch.numbered() if number in self._reasons
                )
        os.replace(unfinished, path)
        return path
