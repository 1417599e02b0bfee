"""An analysis where the service reads it: the same that `--json` prints, with what the list says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from decision.errors import InvalidInput
from decision.results import PROGRAMME, AnalysisHead, Outcome
from experiments.ab.analysis import Analysis
from experiments.ab.as_json import entries_of
from experiments.ab.headline import headline_of
from experiments.ab.ledger_actions import ActionEffect

_LONGEST = 64


def id_of(name: str) -> str:
    """Return a name in the letters that an id may have."""
    found = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return found[:_LONGEST].strip("-") or "analysis"


def require_free(name: str) -> None:
    """Raise `InvalidInput` for the ids of the programme itself, whose place no case may take."""
    if name.startswith(PROGRAMME):
        raise InvalidInput(
            f"Expected an id that does not begin with {PROGRAMME!r}, which is this programme's own, found {name!r}.",
            hint="Name another with --id.",
        )


def head_of(analysis: Analysis, name: str, *, as_of: datetime, verdict: str = "") -> AnalysisHead:
    """Return what the list says of an analysis with this id; without a `verdict` its headline."""
    case = analysis.case
    said = verdict or headline_of(analysis)
    outcomes = msgspec.convert({one.arm: one.outcome.value for one in analysis.verdicts}, dict[str, Outcome])
    return AnalysisHead(name, case.name, case.plan.sentence, analysis.state.value, said, as_of, outcomes)


def whole(head: AnalysisHead, analysis: Analysis | None, actions: tuple[ActionEffect, ...] = ()) -> Mapping[str, Any]:
    """Return all of it as JSON has it; without an analysis, that there is none."""
    found: dict[str, Any] = {} if analysis is None else entries_of(analysis, actions)
    short = msgspec.to_builtins(head)
    # What it is comes first.
    return {**short, **found}
