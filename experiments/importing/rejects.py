"""Rows that can't be used: which, why, and a file that holds them as they came."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from experiments.importing.table import Table
from experiments.whole_file import whole_file


class Rejects:
    """The reason of every rejected row, by its number in the file, and what was expected and found in it."""

    def __init__(self) -> None:
        self._reasons: dict[int, str] = {}
        self._details: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, number: int, reason: str, detail: str = "") -> None:
        """Note why a row can't be used; the first reason stays."""
        if number in self._reasons:
            return
        self._reasons[number] = reason
        if detail:
            self._details[number] = detail

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows each reason took, the most frequent first."""
        return dict(Counter(self._reasons.values()).most_common())

    @property
    def explained(self) -> dict[str, int]:
        """Return the same counts; a reason that has them is told with what the first of its rows holds."""
        first: dict[str, str] = {}
        for number, detail in self._details.items():
            first.setdefault(self._reasons[number], f" (row {number}: {detail})")
        return {f"{reason}{first.get(reason, '')}": n for reason, n in self.counts.items()}

    def write(self, table: Table, path: Path) -> Path | None:
        """Write the rejected rows of `table` with number and reason as CSV; without any, remove an earlier file."""
        if not self._reasons:
            path.unlink(missing_ok=True)
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["row", "reason", *table.columns])
            for batch in table.batches():
                writer.writerows(
                    [number, self._told(number), *row] for number, row in batch.numbered() if number in self._reasons
                )
        return path

    def _told(self, number: int) -> str:
        reason, detail = self._reasons[number], self._details.get(number)
        return f"{reason}: {detail}" if detail else reason
