"""A case together with its units: from a file, from Encore's ledger, or from past units for planning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from decision.errors import NotFound
from decision.ledger.base import Ledger
from decision.programme.model import Programme
from experiments.ab.case import Case, Metric, Role, UnitColumns
from experiments.ab.case_file import named_outside_metrics, read_case, read_tables, source_of
from experiments.ab.ledger_units import in_window, measured, table_of
from experiments.ab.units import Units, columns_of, read_units

__all__ = ["case_for_planning", "case_of_file", "case_of_ledger", "over_windows", "source_of", "windows_of"]
_LONGEST = 3650


def case_of_file(path: Path, file: Path) -> tuple[Case, Units]:
    """Return a case and its units from a CSV or Parquet file. Raises `NotFound`, `InvalidCase`, `InvalidInput`."""
    case = read_case(path, columns_of(_there(file)), file)
    return case, read_units(case, file)


def case_of_ledger(path: Path, ledger: Ledger, programme: Programme, *, now: datetime) -> tuple[Case, Units]:
    """Return a case and the customers of the ledger; shares that it does not name are those of the programme."""
    shares = {group.value: share for group, share in programme.shares.items() if share > 0}
    usual = float(programme.attribution_window_days)
    windows = windows_of(_named_windows(path), usual)
    table = table_of(measured(ledger, programme, windows=windows, now=now), programme, windows)
    case = read_case(path, tuple(table.column_names), None, shares=shares)
    case = replace(case, metrics=over_windows(case.metrics, windows[0], usual))
    return case, read_units(case, table)


def windows_of(named: Iterable[tuple[str, float]], usual: float) -> tuple[float, ...]:
    """Return the windows of metrics, by role and days (0: the usual ones), that of the first primary metric first."""
    days = [(role, own or usual) for role, own in named]
    main = next((own for role, own in days if role == Role.PRIMARY), usual)
    return tuple(dict.fromkeys([main, *(own for _, own in days)]))


def over_windows(metrics: tuple[Metric, ...], main: float, usual: float) -> tuple[Metric, ...]:
    """Return metrics with the columns of `ledger_units.measured` over their own windows."""
    return tuple(
        metric
        if (metric.window_days or usual) == main
        else replace(metric, columns=tuple(in_window(c, metric.window_days or usual) for c in metric.columns))
        for metric in metrics
    )


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


def _named_windows(path: Path) -> Iterator[tuple[str, float]]:
    """Yield role and window of a case's metrics, as far as they can be read; what is wrong is said when it is."""
    tables = read_tables(path)[1].get("metrics", {})
    for table in tables.values() if isinstance(tables, Mapping) else ():
        days = table.get("window_days", 0.0) if isinstance(table, Mapping) else 0.0
        if isinstance(days, int | float) and not isinstance(days, bool) and 0 <= days <= _LONGEST:
            yield str(table.get("role", "")), float(days)


def _there(file: Path) -> Path:
    if not file.exists():
        raise NotFound(f"Expected the units in {file}, found no file.", hint="Name another with --file.")
    return file
