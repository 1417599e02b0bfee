"""Sufficient statistics of a table that DuckDB reads: Parquet, CSV or Arrow, none of it loaded whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np

from decision.errors import InvalidInput, counted
from experiments.ab.moments import Moments

_SAMPLE = 1_000


def relation(connection: Any, source: Path | Any) -> Any:
    """Return DuckDB's relation of a file (by its ending) or of an Arrow table. Raises InvalidInput for other files."""
    # Days are those of UTC, whatever zone the machine is in.
    connection.execute("SET TimeZone = 'UTC'")
    if not isinstance(source, Path):
        return connection.from_arrow(source)
    ending = source.suffix.lower()
    if ending == ".parquet":
        return connection.read_parquet(str(source))
    if ending in (".csv", ".tsv", ".txt"):
        return connection.read_csv(str(source))
    raise InvalidInput(
        f"Expected a file ending in .csv or .parquet, found {source.name}.", hint="Rename or convert it."
    )


def moments_by_arm(
    source: Any, arm: str, columns: Sequence[str], caps: Mapping[str, float] | None = None
) -> dict[str, Moments]:
    """Return the moments of each value of the column `arm`, in one pass and on all cores.

    Parameters
    ----------
    source : a relation of DuckDB, see `relation`.
    columns : names; those in `caps` are cut at that value.

    Raises
    ------
    InvalidInput : values are missing or infinite.
    """
    shown = [f"{quoted(name)}::DOUBLE" for name in columns]
    capped = [
        f"least({sql}, {float((caps or {}).get(name, np.inf))!r}::DOUBLE)"
        for name, sql in zip(columns, shown, strict=True)
    ]
    capped = [sql if name in (caps or {}) else plain for name, sql, plain in zip(columns, capped, shown, strict=True)]
    middle = ", ".join(f"coalesce(median({sql}) FILTER (isfinite({sql})), 0)" for sql in shown)
    shifts = source.limit(_SAMPLE).aggregate(middle).fetchall()[0]
    # Sums around a value of the data: a large common level costs no digits.
    terms = [f"({sql} - {float(shift)!r}::DOUBLE)" for sql, shift in zip(capped, shifts, strict=True)]
    pairs = list(combinations_with_replacement(range(len(columns)), 2))
    wanted = [
        f"{quoted(arm)}::VARCHAR",
        "count(*)",
        " + ".join(f"count(*) FILTER ({sql} IS NULL OR NOT isfinite({sql}))" for sql in shown),
        *(f"sum({term})" for term in terms),
        *(f"sum({terms[i]} * {terms[j]})" for i, j in pairs),
    ]
    rows = source.aggregate(", ".join(wanted), quoted(arm)).fetchall()
    bad = sum(row[2] for row in rows)
    if bad:
        raise InvalidInput(
            f"Expected a finite number for every unit in {', '.join(columns)}, found "
            f"{counted(bad, 'value')} missing or infinite.",
            hint="A unit that did nothing has 0; one that was not measured yet belongs in no arm so far.",
        )
    return {str(row[0]): _moments(row[1], row[3:], pairs, shifts) for row in rows}


def quoted(name: str) -> str:
    """Return a column's name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def said_by(error: Exception) -> str:
    """Return what DuckDB found, without its settings and the line itself."""
    lines = [line.strip() for line in str(error).partition("\n\n")[0].splitlines()]
    return "; ".join(line.rstrip(".") for line in lines if line and not line.startswith("Original Line"))


def _moments(n: int, sums: Sequence[float], pairs: Sequence[tuple[int, int]], shifts: Sequence[float]) -> Moments:
    p = len(shifts)
    products = np.zeros((p, p))
    for (i, j), total in zip(pairs, sums[p:], strict=True):
        products[i, j] = products[j, i] = total
    around = Moments.of_sums(n, np.array(sums[:p]), products)
    return Moments(n, around.mean + np.array(shifts), around.scatter)
