"""A run over everybody: predictions as a table, as profiles that decisions look up, and the summary without persons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from decision.errors import InvalidInput
from decision.ledger.base import NewProfile
from decision.ledger.people import People
from decision.records import ContextValue, ProfileSource
from decision.segments import Migration, Run, Segment, Verdict
from experiments.behaviour import grid, rfm
from experiments.behaviour.models import Models, moment
from experiments.behaviour.predictions import Predictions
from experiments.customers.values import SEGMENTS, SOURCE, predicted_values
from experiments.whole_file import whole_file

NOT_YET = "not yet"
_DIGITS = 4
_BATCH = 10_000
# Customers with a segment of each kind, before this run.
Before = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Scored:
    """What a run has found, by which models, and from which moment on it was not known any more."""

    predictions: Predictions
    models: Models
    day: int
    as_of: datetime

    @property
    def source(self) -> ProfileSource:
        """Return where the values of profiles come from."""
        return ProfileSource(SOURCE, self.as_of, self.predictions.version)


def scored(predictions: Predictions, models: Models, day: int) -> Scored:
    """Return predictions as of a day with the moment at which it began."""
    return Scored(predictions, models, day, moment(day, models.settings))


def write_parquet(found: Scored, path: Path) -> None:
    """Write a row a customer, with `as_of` and `model_version` on each, whole or not at all."""
    table = found.predictions.table
    n = table.num_rows
    for name, value in (("as_of", found.predictions.as_of), ("model_version", found.predictions.version)):
        same = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), n), pa.array([value]))
        table = table.append_column(name, same if name == "model_version" else same.dictionary_decode())
    with whole_file(path) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")


def profiles_of(found: Scored) -> Iterator[NewProfile]:
    """Yield predictions as profiles: numbers, and texts where they are categories or days."""
    source, names = found.source, list(predicted_values())
    for batch in found.predictions.table.to_batches(max_chunksize=_BATCH):
        columns = [_plain(batch.column(name)).to_pylist() for name in names]
        for customer_id, *values in zip(batch.column("customer_id").to_pylist(), *columns, strict=True):
            hers: dict[str, ContextValue] = dict(zip(names, values, strict=True))
            yield NewProfile(customer_id, source, hers)


def _plain(column: pa.Array) -> pa.Array:
    if pa.types.is_string(column.type):
        return column
    if pa.types.is_date(column.type):
        return column.cast(pa.string())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return pc.round(column.cast(pa.float64()), _DIGITS)


def keep(people: People, found: Scored, run: Run, *, advance: Callable[[int], None] = lambda _: None) -> int:
    """Write predictions where decisions look them up, in place of those before; return of how many customers."""
    kept = people.replace(profiles_of(found), advance=advance)
    people.finish(run)
    return kept


def run_of(found: Scored, before: Before, *, made_at: datetime, currency: str, previous: Run | None = None) -> Run:
    """Return the summary of a run, compared with the segments that customers were in before."""
    table, models = found.predictions.table, found.models
    n = table.num_rows
    thresholds, second = models.thresholds, models.second
    segments, migrations = [], []
    for kind, names in SEGMENTS.items():
        hers = table[kind].to_pylist()
        sizes = Counter(hers)
        segments += [
            Segment(kind, name, sizes[name], sizes[name] / max(n, 1), *_about(kind, name, thresholds)) for name in names
        ]
        if before.get(kind):
            migrations.append(_migration(kind, before[kind], table["customer_id"].to_pylist(), hers))
    return Run(
        as_of=found.as_of,
        version=found.predictions.version,
        made_at=made_at,
        customers=n,
        clv_days=found.predictions.clv_days,
        currency=currency,
        segments=tuple(segments),
        thresholds={
            "silence_days": tuple(thresholds.silence_days.tolist()),
            "purchases": tuple(thresholds.purchases.tolist()),
            "spent": tuple(thresholds.spent.tolist()),
        },
        verdicts=tuple(Verdict(v.model, v.enough, v.why, v.rule) for v in found.predictions.verdicts),
        before=previous.as_of if previous else None,
        before_version=previous.version if previous else None,
        migrations=tuple(migrations),
        deadline_days=(second.deadline, second.deadline_low, second.deadline_high) if second else None,
    )


def _migration(kind: str, before: Mapping[str, str], names: Sequence[str], now: Sequence[str]) -> Migration:
    rows, columns = (NOT_YET, *SEGMENTS[kind]), SEGMENTS[kind]
    moved = Counter(zip((before.get(name, NOT_YET) for name in names), now, strict=True))
    return Migration(kind, rows, columns, tuple(tuple(moved[row, column] for column in columns) for row in rows))


def _about(kind: str, name: str, thresholds: rfm.Thresholds) -> tuple[str, str]:
    """Return what a segment means, and who belongs to it, in days and purchases."""
    if kind == "grid":
        chance, _, churn = name.partition("-")
        likely = f"{'at least' if chance == 'likely' else 'below'} {100 * grid.LIKELY:.0f} % to buy within 90 days"
        slipping = {
            "staying": f"churn below {100 * grid.SLIPPING:.0f} %",
            "slipping": f"churn of {100 * grid.SLIPPING:.0f} to {100 * grid.LEAVING:.0f} %",
            "leaving": f"churn of {100 * grid.LEAVING:.0f} % or more",
        }
        return grid.WHAT_TO_DO[name], f"{likely}; {slipping[churn]}"
    _, (r_low, r_high), (f_low, f_high), meaning = next(one for one in rfm.SEGMENTS if one[0] == name)
    days, bought = thresholds.silence_days.tolist(), thresholds.purchases.tolist()
    silence = _between(days[4 - r_high] if r_high < rfm.STEPS else None, days[5 - r_low] if r_low > 1 else None)
    often = _between(bought[f_low - 2] if f_low > 1 else None, bought[f_high - 1] if f_high < rfm.STEPS else None)
    return meaning, "; ".join(
        part
        for part in (
            silence and f"silent for {silence} days",
            often and ("bought once" if f_high == 1 else f"bought on {often} days"),
        )
        if part
    )


def _between(above: float | None, at_most: float | None) -> str:
    if above is None and at_most is None:
        return ""
    if above is None:
        return f"at most {at_most:g}"
    return f"more than {above:g}" + (f" and at most {at_most:g}" if at_most is not None else "")


def before_in_parquet(path: Path) -> Before:
    """Return the segments of customers in an earlier run's file. Raises `InvalidInput` where it is none."""
    wanted = ["customer_id", *SEGMENTS]
    try:
        table = pq.read_table(path, columns=wanted)
    except (OSError, pa.ArrowException):
        table = None
    if table is None or table.column_names != wanted:
        raise InvalidInput(f"Expected what `encore customers score` has written in {path}, found another file.")
    names = table["customer_id"].to_pylist()
    return {kind: dict(zip(names, table[kind].to_pylist(), strict=True)) for kind in SEGMENTS}


def before_in_ledger(rows: Iterator[tuple[str, Any, Any]]) -> Before:
    """Return the segments of customers in the ledger, from `People.segments`."""
    found = list(rows)
    return {kind: {row[0]: row[place] for row in found if row[place]} for place, kind in enumerate(SEGMENTS, start=1)}
