"""The use case: a past log that nobody randomised becomes decisions that models may learn from, and marked as such."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from msgspec import structs

from decision.errors import NotEnoughData
from decision.ledger.base import Ledger, Rewarded
from decision.programme.model import Programme
from decision.records import ESTIMATED_PROPENSITY, OBSERVATIONAL_PREFIX, Decision, FloatArray, Group, Reason
from experiments.importing.cells import Unusable
from experiments.importing.overlap import LEAST, Overlap, overlap
from experiments.importing.rejects import Rejects
from experiments.importing.table import Table
from experiments.importing.trial import check_same
from experiments.importing.trial_mapping import TrialMapping
from experiments.importing.trial_rows import TrialRows

OUTSIDE = f"no overlap: an action has an estimated propensity below {LEAST:g} for customers like this one"


@dataclass(frozen=True, slots=True)
class ObservationalReceipt:
    """What became of the rows: rows = new + known + sum of `rejected`, which is by reason; and the overlap."""

    rows: int
    new: int
    known: int
    rejected: dict[str, int]
    rejects_path: Path | None
    overlap: Overlap


def import_observational(
    table: Table,
    mapping: TrialMapping,
    *,
    programme: Programme,
    ledger: Ledger,
    now: datetime,
    rejects_path: Path,
) -> ObservationalReceipt:
    """Check every row, estimate who got what, leave out rows without overlap, then write. Again changes nothing.

    The decisions are of the group `business_as_usual`: what was given was given with certainty, which is their
    `propensity`; the model's is kept apart as `estimated_propensity`.

    Raises
    ------
    NotEnoughData : no row can be used.
    NoOverlap : customers who got one action hardly ever got another; nothing is written.
    IdempotencyMismatch : another log was imported under this name.
    """
    rows = TrialRows(mapping, table.columns, programme=programme, now=now)
    n, found, rejects = 0, dict[int, Rewarded](), Rejects()
    for batch in table.batches():
        n += len(batch.rows)
        for number, row in batch.numbered():
            try:
                found[number] = rows.read(number, row)
            except Unusable as reason:
                rejects.add(number, reason.message, reason.detail)
    if not found:
        raise NotEnoughData(f"Expected rows that can be used in {table.path}, found none of {n:,}.")
    decisions = [one.decision for one in found.values()]
    allowed = decisions[0].allowed
    seen = overlap(
        [decision.context for decision in decisions],
        np.array([allowed.index(decision.action_id) for decision in decisions]),
        [decision.customer_id for decision in decisions],
        allowed,
    )
    kept = []
    for one, number, propensity, keep in zip(found.values(), found, seen.propensity, seen.keep, strict=True):
        if keep:
            kept.append(_marked(one, f"{OBSERVATIONAL_PREFIX}{mapping.name}", number, propensity))
        else:
            rejects.add(number, OUTSIDE)
    check_same(kept[0], ledger, mapping.name)
    written = rejects.write(table, rejects_path)
    new = ledger.import_decisions(kept)
    return ObservationalReceipt(n, new, n - len(rejects) - new, rejects.counts, written, seen)


def _marked(row: Rewarded, source: str, number: int, propensity: FloatArray) -> Rewarded:
    decision: Decision = structs.replace(
        row.decision,
        decision_id=f"{source}:{number}",
        group=Group.BUSINESS_AS_USUAL,
        policy_version=source,
        propensity=1.0,
        distribution=tuple(float(a == row.decision.action_id) for a in row.decision.allowed),
        predictions={ESTIMATED_PROPENSITY: tuple(float(e) for e in propensity)},
        reasons=((Reason.BUSINESS_AS_USUAL.value, "a row of a past log that nobody randomised"),),
    )
    return Rewarded(decision, replace(row.reward, decision_id=decision.decision_id))
