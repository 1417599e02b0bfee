"""Logs as chunks of rounds: from a DataFrame, a Parquet file, or the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from decision.errors import InvalidInput
from decision.flow.learn import teaches
from decision.ledger.base import Rewarded
from decision.money import MICROS
from decision.records import Decision, FloatArray, RewardStatus
from experiments.off_policy.rounds import Rounds

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 100_000

Replay = Callable[[Decision, tuple[str, ...]], tuple[FloatArray, FloatArray | None]]
"""(decision, its allowed actions [k]) -> what a policy would do: probabilities [k], and a reward model's values [k]."""


@dataclass(frozen=True, slots=True)
class LogColumns:
    """Names of a table's columns.

    `target` and `q_hat` are either one column of lists of length K, or K columns of numbers named `target.0` to
    `target.<K-1>`. `q_hat` may be missing.
    """

    action: str = "action"
    reward: str = "reward"
    propensity: str = "propensity"
    target: str = "target"
    q_hat: str = "q_hat"

    def of_table(self, name: str, present: Sequence[str]) -> list[str]:
        """The columns that hold table `name`, in order; none where there are none."""
        if name in present:
            return [name]
        numbered = [column for column in present if column.startswith(f"{name}.")]
        return sorted(numbered, key=lambda column: int(column.removeprefix(f"{name}.")))

    def needed(self, present: Sequence[str]) -> list[str]:
        """All columns to read; raises InvalidInput where one is missing."""
        single = [self.action, self.reward, self.propensity]
        target = self.of_table(self.target, present)
        missing = [name for name in single if name not in present] + ([] if target else [self.target])
        if missing:
            raise InvalidInput(
                f"The log must have the columns {', '.join([*single, self.target])}, found none for "
                f"{', '.join(missing)}.",
                hint="Name your columns with LogColumns.",
            )
        return [*single, *target, *self.of_table(self.q_hat, present)]


DEFAULT_COLUMNS = LogColumns()


def rounds_from_frame(
    frame: pd.DataFrame, *, columns: LogColumns = DEFAULT_COLUMNS, chunk: int = CHUNK
) -> Iterator[Rounds]:
    """Yield a DataFrame's rows as rounds, `chunk` at a time; raises InvalidInput where a column is missing."""
    names = list(frame.columns)
    columns.needed(names)
    for first in range(0, len(frame), chunk):
        part = frame.iloc[first : first + chunk]
        yield _rounds(columns, names, lambda name, part=part: part[name].to_numpy())  # type: ignore[misc]


def rounds_from_parquet(path: Path, *, columns: LogColumns = DEFAULT_COLUMNS, chunk: int = CHUNK) -> Iterator[Rounds]:
    """Yield a Parquet file's rows as rounds, `chunk` at a time; raises InvalidInput where a column is missing."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        names = list(file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=chunk, columns=columns.needed(names)):
            yield _rounds(columns, names, lambda name, batch=batch: _numbers(batch.column(name)))  # type: ignore[misc]


def _numbers(column: Any) -> np.ndarray:
    """Arrow numbers [n], or lists of equal length as [n, K], without a detour through Python objects."""
    if not hasattr(column, "flatten") or not str(column.type).startswith(("list", "fixed_size_list", "large_list")):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False)).reshape(len(column), -1)


def _rounds(columns: LogColumns, names: Sequence[str], read: Callable[[str], np.ndarray]) -> Rounds:
    q_hat = columns.of_table(columns.q_hat, names)
    return Rounds(
        action=read(columns.action),
        reward=read(columns.reward),
        propensity=read(columns.propensity),
        target=_table(columns.of_table(columns.target, names), read),
        q_hat=_table(q_hat, read) if q_hat else None,
    )


def _table(names: Sequence[str], read: Callable[[str], np.ndarray]) -> FloatArray:
    if len(names) > 1:
        return np.column_stack([read(name) for name in names])
    found = read(names[0])
    return np.stack(found.tolist()) if found.dtype == object else found.reshape(len(found), -1)


def rounds_from_ledger(
    rewarded: Iterable[Rewarded], replay: Replay, *, catalogue: Sequence[str], chunk: int = 5_000
) -> Iterator[Rounds]:
    """Yield the finished decisions of `ledger.rewarded()` that may judge a policy, with what `replay` would do.

    Rewards are in currency units. Decisions for an action outside `catalogue` are left out, and the propensities
    of the others are those given that.
    """
    rows = (row for row in rewarded if judges(row, catalogue))
    while part := list(islice(rows, chunk)):
        yield rounds_of(part, replay, catalogue=catalogue)


def judges(row: Rewarded, catalogue: Sequence[str]) -> bool:
    """Whether a decision may judge a policy: randomised, its reward final, its action known."""
    decision = row.decision
    return teaches(decision) and row.reward.status is RewardStatus.FINAL and decision.action_id in catalogue


def rounds_of(rows: Sequence[Rewarded], replay: Replay, *, catalogue: Sequence[str]) -> Rounds:
    """Rounds of these decisions, whatever their reward's status; actions are numbered as in `catalogue`."""
    place = {action_id: k for k, action_id in enumerate(catalogue)}
    shape = (len(rows), len(catalogue))
    target, q_hat, known = np.zeros(shape), np.zeros(shape), True
    for i, row in enumerate(rows):
        allowed = tuple(action_id for action_id in row.decision.allowed if action_id in place)
        at = [place[action_id] for action_id in allowed]
        target[i, at], values = replay(row.decision, allowed)
        known = known and values is not None
        q_hat[i, at] = 0.0 if values is None else values
    return Rounds(
        action=np.array([place[row.decision.action_id] for row in rows], dtype=np.int64),
        reward=np.array([row.reward.value_micros / MICROS for row in rows]),
        propensity=np.array([_propensity(row.decision, place) for row in rows]),
        target=target,
        q_hat=q_hat if known else None,
    )


def _propensity(decision: Decision, place: dict[str, int]) -> float:
    chances = zip(decision.allowed, decision.distribution, strict=True)
    return decision.propensity / (1.0 - sum(chance for action_id, chance in chances if action_id not in place))
