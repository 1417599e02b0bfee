"""An analysis where the service reads it: the same that `--json` prints, with what the list says of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from decision.errors import InvalidInput
from decision.results import PROGRAMME, AnalysisHead, State
from experiments.ab.analysis import Analysis, Outcome
from experiments.ab.analysis import State as Found
from experiments.ab.as_json import entries_of
from experiments.ab.headline import headline_of
from experiments.ab.ledger_actions import ActionEffect
from experiments.ab.plans import PlanKind

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
    return AnalysisHead(name, case.name, case.plan.sentence, state_of(analysis), said, as_of)


def state_of(analysis: Analysis) -> State:
    """Return whether an analysis may be read.

    A plan that goes on has not yet told what it can't tell apart; one that is at its end has: there is no telling.
    """
    if analysis.state is Found.UNSOUND:
        return "unsound"
    if analysis.state is Found.NOT_ENOUGH_DATA:
        return "not_enough_data"
    plan, seen = analysis.case.plan, sum(analysis.counts.values())
    ended = plan.kind is not PlanKind.ALWAYS_VALID and seen >= plan.units
    open_yet = not ended and any(verdict.outcome is Outcome.UNDECIDED for verdict in analysis.verdicts)
    return "not_yet" if analysis.state is Found.TOO_EARLY or open_yet else "clear"


def whole(head: AnalysisHead, analysis: Analysis | None, actions: tuple[ActionEffect, ...] = ()) -> Mapping[str, Any]:
    """Return all of it as JSON has it; without an analysis, that there is none."""
    found: dict[str, Any] = {} if analysis is None else entries_of(analysis, actions)
    short = msgspec.to_builtins(head)
    # What it is comes first, and its state is the one of the list.
    return {**short, **found, **short}
