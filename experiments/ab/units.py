"""The units of a case as arrays: only the columns that the case names, read by DuckDB."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, NotEnoughData, counted
from decision.records import FloatArray
from experiments.ab.case import Case
from experiments.ab.from_duckdb import quoted, relation, said_by

_CODE = "arm of the case"
_DAY = "day of the case"
_UNKNOWN = "unknown"
_WIDE = ("BIGINT", "UBIGINT", "HUGEINT", "UHUGEINT")
_YES_OR_NO = ("yes", "no", "true", "false", "y", "n", "t", "f")
_WITH_COMMA = re.compile(r"[-+]?[\d.,']*,[\d.,']*")


@dataclass(frozen=True, eq=False)
class Units:
    """Rows of units.

    Parameters
    ----------
    arms : their names, control first; `arm` int[n] counts them from 0.
    numbers, texts : the columns by name, [n] each. `day` is when a unit was assigned, empty where nothing says so.
    left_out : rows whose arm is none of the case's, by what they say.
    """

    arms: tuple[str, ...]
    arm: NDArray[np.int64]
    numbers: Mapping[str, FloatArray]
    texts: Mapping[str, NDArray[np.str_]]
    day: NDArray[np.str_]
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.arm)

    def where(self, rows: NDArray[np.bool_]) -> Units:
        """Return some of the rows."""
        return replace(
            self,
            arm=self.arm[rows],
            numbers={name: column[rows] for name, column in self.numbers.items()},
            texts={name: column[rows] for name, column in self.texts.items()},
            day=self.day[rows] if len(self.day) else self.day,
        )

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows each arm has."""
        found = np.bincount(self.arm, minlength=len(self.arms))
        return dict(zip(self.arms, found.tolist(), strict=True))


def columns_of(source: Path | Any) -> tuple[str, ...]:
    """Return the names of the columns of a file or an Arrow table. Raises InvalidInput for what is no table."""
    import duckdb

    if isinstance(source, Path) and source.stat().st_size == 0:
        raise InvalidInput(f"Expected a table in {source}, found an empty file.")
    with duckdb.connect() as connection:
        try:
            return tuple(relation(connection, source).columns)
        except duckdb.Error as error:
            raise InvalidInput(f"Expected a table in {source}, found something else: {said_by(error)}.") from error


def read_units(case: Case, source: Path | Any, *, one_group: bool = False) -> Units:
    """Return the units of a case from a file (CSV, Parquet) or an Arrow table; `one_group` : all as control's.

    Raises
    ------
    InvalidInput : a metric's column is no number, or has gaps; it says how many and in which column.
    InvalidInput : an id is missing.
    InvalidInput : an arm is empty, and units of other arms are there: it is spelt otherwise.
    NotEnoughData : an arm is empty.
    """
    import duckdb

    names = (case.arms.control, *case.arms.treatments)
    with duckdb.connect() as connection:
        table = relation(connection, source)
        arm = _literal(case.arms.control) if one_group else f"{quoted(case.arms.column)}::VARCHAR"
        listed = ", ".join(_literal(name) for name in names)
        others = (
            table.filter(f"{arm} IS NULL OR {arm} NOT IN ({listed})")
            .aggregate(f"{arm} AS said, count(*)", "said")
            .fetchall()
        )
        wanted = [f"list_position([{listed}], {arm}) - 1 AS {quoted(_CODE)}"]
        wanted += [f"try_cast({quoted(name)} AS DOUBLE) AS {quoted(f'number {name}')}" for name in case.numbers]
        wanted += [
            f"coalesce({quoted(name)}::VARCHAR, '{_UNKNOWN}') AS {quoted(f'text {name}')}" for name in case.texts
        ]
        if case.units.assigned_at:
            wanted.append(f"coalesce({quoted(case.units.assigned_at)}::DATE::VARCHAR, 'unknown') AS {quoted(_DAY)}")
        mine = table.filter(f"{arm} IN ({listed})")
        try:
            found = mine.project(", ".join(wanted)).fetchnumpy()
            numbers = {name: _numbers(name, found[f"number {name}"], mine) for name in case.numbers}
            _require_digits(numbers, dict(zip(table.columns, map(str, table.types), strict=True)))
        except duckdb.Error as error:
            raise InvalidInput(f"The units of {case.name} can't be read: {said_by(error)}.") from error
    texts = {name: np.asarray(found[f"text {name}"]).astype(str) for name in case.texts}
    _require_ids(case, texts)
    units = Units(
        names,
        np.asarray(found[_CODE], dtype=np.int64),
        numbers,
        texts,
        np.asarray(found[_DAY]).astype(str) if case.units.assigned_at else np.zeros(0, dtype=str),
        {"nothing" if name is None else str(name): count for name, count in others},
    )
    empty = [name for name, count in units.counts.items() if not count and not (one_group and name in names[1:])]
    if empty and units.left_out:
        said = _some(list(units.left_out))
        raise InvalidInput(
            f"Expected units in every arm, found none in {_some(empty)}; the column {case.arms.column!r} also says "
            f"{said}."
        )
    if empty:
        raise NotEnoughData(f"Expected units in every arm, found none in {_some(empty)}.")
    return units


def _numbers(name: str, values: Any, rows: Any) -> FloatArray:
    masked = np.ma.getmaskarray(values)
    plain = np.asarray(np.ma.getdata(values), dtype=np.float64)
    bad = masked | ~np.isfinite(plain)
    if bad.any():
        first = int(bad.argmax())
        said = rows.project(f"{quoted(name)}::VARCHAR").limit(1, first).fetchone()[0]
        raise InvalidInput(
            f"Expected a finite number for every unit in {name!r}, found {counted(int(bad.sum()), 'row')} without one; "
            f"the first is unit {first + 1:,} of the arms, with {'nothing' if said is None else repr(said)}.",
            hint=_meant(said),
        )
    return plain


def _require_ids(case: Case, texts: Mapping[str, NDArray[np.str_]]) -> None:
    """All units without an id would be one, and in two arms."""
    for name in filter(None, (case.units.unit, case.units.cluster)):
        missing = int(np.isin(texts[name], (_UNKNOWN, "", "nan")).sum())
        if missing:
            raise InvalidInput(
                f"Expected an id for every unit in {name!r}, found {counted(missing, 'row')} without one.",
                hint="Leave such rows out if they are few, in all arms alike, or name no column for ids.",
            )


def _require_digits(numbers: Mapping[str, FloatArray], types: Mapping[str, str]) -> None:
    """Whole numbers beyond 2^53 are rounded; ids seem to be all the same then."""
    for name, values in numbers.items():
        largest = float(np.abs(values).max(initial=0.0))
        if types[name] in _WIDE and largest >= 2**53 and values.std() < 1e6 * np.spacing(largest):
            raise InvalidInput(
                f"Expected numbers of up to 16 digits in {name!r}, found {largest:.0f}, whose differences are lost.",
                hint="Take the common level off first, and see whether this is a metric and not an id.",
            )


def _meant(said: str | None) -> str:
    """Return what may help where this was found instead of a number."""
    if said is not None and said.strip().lower() in _YES_OR_NO:
        return "Write 1 for yes and 0 for no."
    if said is not None and _WITH_COMMA.fullmatch(said.strip()):
        return "Write numbers with a point before the decimals and nothing between the thousands."
    return "A unit that did nothing has 0; leave out units that were not measured yet, in all arms alike."


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(map(repr, names[:5])) + more
