"""A case together with its units: from a file, from Encore's ledger, or from past units for planning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from decision.errors import NotFound
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from experiments.ab.case import Case, UnitColumns
from experiments.ab.case_file import named_outside_metrics, read_case, read_tables, source_of
from experiments.ab.ledger_units import customers
from experiments.ab.units import Units, columns_of, read_units

__all__ = ["case_for_planning", "case_of_file", "case_of_ledger", "source_of"]


def case_of_file(path: Path, file: Path) -> tuple[Case, Units]:
    """Return a case and its units from a CSV or Parquet file. Raises `NotFound`, `InvalidCase`, `InvalidInput`."""
    case = read_case(path, columns_of(_there(file)), file)
    return case, read_units(case, file)


def case_of_ledger(path: Path, ledger: Ledger, programme: Programme, *, now: datetime) -> tuple[Case, Units]:
    """Return a case and the customers of the ledger; shares that it does not name are those of the programme."""
    shares = {group.value: share for group, share in programme.shares.items() if share > 0}
    days = _window(path) or float(programme.attribution_window_days)
    table = customers(ledger, programme, window_days=days, now=now)
    case = read_case(path, tuple(table.column_names), None, shares=shares)
    return case, read_units(case, table)


def case_for_planning(path: Path, history: Path | None) -> tuple[Case, Units]:
    """Return a case and past units as one group: they need neither arms nor the columns that a test adds."""
    file = history or source_of(path)
    if file is None:
        raise NotFound("Planning needs past units, found no file.", hint="Name one with --history.")
    columns = columns_of(_there(file))
    case = read_case(path, (*columns, *named_outside_metrics(path)), file)
    cluster = case.units.cluster if case.units.cluster in columns else None
    alone = replace(case, units=UnitColumns(cluster=cluster), money=None)
    return case, read_units(alone, file, one_group=True)


def _window(path: Path) -> float | None:
    """Return the longest window that a metric of the case names."""
    metrics = read_tables(path)[1].get("metrics", {})
    days = (
        [one.get("window_days") for one in metrics.values() if isinstance(one, Mapping)]
        if isinstance(metrics, Mapping)
        else []
    )
    found = [float(day) for day in days if isinstance(day, int | float) and not isinstance(day, bool)]
    return max(found, default=None)


def _there(file: Path) -> Path:
    if not file.exists():
        raise NotFound(f"Expected the units in {file}, found no file.", hint="Name another with --file.")
    return file
