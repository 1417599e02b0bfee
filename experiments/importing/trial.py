"""The use case: a past randomised trial becomes finished decisions with the propensities of its design."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from decision.errors import IdempotencyMismatch, InvalidInput, NotEnoughData
from decision.ledger.base import Ledger, Rewarded
from decision.programme.model import Programme
from decision.records import Reason
from experiments.importing.cells import Unusable
from experiments.importing.rejects import Rejects
from experiments.importing.srm import ArmCounts, SampleRatioMismatch
from experiments.importing.table import Table
from experiments.importing.trial_mapping import TrialMapping
from experiments.importing.trial_rows import TrialRows

SRM_ACCEPTED = "sample_ratio_mismatch_accepted"
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class TrialReceipt:
    """What became of the rows: rows = new + known + sum of `rejected`, which is by reason."""

    rows: int
    new: int
    known: int
    rejected: dict[str, int]
    rejects_path: Path | None
    arms: ArmCounts


def import_trial(
    table: Table,
    mapping: TrialMapping,
    *,
    programme: Programme,
    ledger: Ledger,
    now: datetime,
    rejects_path: Path,
    accept_srm: str | None = None,
    advance: Advance = lambda _: None,
) -> TrialReceipt:
    """Check every row, then the arm counts against the design, then write. The same rows again change nothing.

    `advance` is told how far both readings of the table have come, 2 x `table.length` in all.

    Raises
    ------
    InvalidInput : the mapping says that propensities are estimated, see `observational`.
    NotEnoughData : no row can be used.
    SampleRatioMismatch : the arms contradict the design, and `accept_srm` gives no reason to go on.
    IdempotencyMismatch : another trial was imported under this name.
    """
    if mapping.estimated:
        raise InvalidInput("Expected a trial with a design, found a log with estimated propensities.")
    rows = TrialRows(mapping, table.columns, programme=programme, now=now)
    n, found, rejects = _survey(table, rows, dict.fromkeys(mapping.actions, 0), advance)
    written = rejects.write(table, rejects_path)
    if len(rejects) == n:
        raise NotEnoughData(
            f"Expected rows that can be used in {table.path}, found none of {n:,}.",
            hint="; ".join(f"{count:,}: {reason}" for reason, count in rejects.explained.items()),
        )
    arms = ArmCounts(found, mapping.design)
    reasons = [(Reason.RANDOM.value, f"a row of the past trial {mapping.name}, drawn as its design says")]
    if arms.mismatch:
        if accept_srm is None:
            raise SampleRatioMismatch(arms)
        reasons.append((SRM_ACCEPTED, f"{accept_srm} (p = {arms.p_value:.2g}: {arms.sentence})"))
    rows = TrialRows(mapping, table.columns, programme=programme, now=now, reasons=tuple(reasons))
    new = 0
    for chunk in _decisions(table, rows, advance):
        check_same(chunk[0], ledger, mapping.name)
        new += ledger.import_decisions(chunk)
    return TrialReceipt(n, new, n - len(rejects) - new, rejects.counts, written, arms)


def _survey(
    table: Table, rows: TrialRows, found: dict[str, int], advance: Advance
) -> tuple[int, dict[str, int], Rejects]:
    n, rejects = 0, Rejects()
    for batch in table.batches():
        for row_number, row in batch.numbered():
            try:
                rows.read(row_number, row)
                found[rows.arm(row)] += 1
            except Unusable as reason:
                rejects.add(row_number, reason.message, reason.detail)
        n += len(batch.rows)
        advance(batch.advance)
    return n, found, rejects


def _decisions(table: Table, rows: TrialRows, advance: Advance) -> Iterator[list[Rewarded]]:
    """Yield the rows that can be used, in chunks that fit a transaction."""
    for batch in table.batches():
        chunk = []
        for row_number, row in batch.numbered():
            try:
                chunk.append(rows.read(row_number, row))
            except Unusable:
                continue
        if chunk:
            yield chunk
        advance(batch.advance)


def check_same(row: Rewarded, ledger: Ledger, name: str) -> None:
    """Raise `IdempotencyMismatch` when a row was imported before and said something else."""
    known = ledger.decision(row.decision.decision_id)
    if known is not None and known.fingerprint != row.decision.fingerprint:
        raise IdempotencyMismatch(
            f"Expected {row.decision.decision_id} as it was first imported, found another row or mapping.",
            hint=f"The ledger only grows: give the trial another name than {name!r}.",
        )
