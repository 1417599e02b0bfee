"""The mapping of a past randomised trial: which column says what, and with which odds its arms were drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType

from decision.programme.model import TRIGGERS, Programme
from decision.programme.section import Section, unknown
from decision.records import CONTROL
from experiments.importing.cells import Clock, Unusable
from experiments.importing.figures import PLAIN, Figures
from experiments.importing.mapping import Draft, begin, clock_of, name_of
from experiments.importing.table import Table

DESIGN_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class OutcomeColumns:
    """The columns of what happened inside the trial's window. Without `visited`, a repurchase is the only visit."""

    visited: str | None
    repurchased: str
    revenue: str
    margin: str | None
    redeemed: str | None


@dataclass(frozen=True, slots=True)
class TrialMapping:
    """A validated mapping. `actions` and `design` are by arm; `decided_at` is a time or the name of a column.

    `estimated` says that nobody drew the arms: the log is observational, and `design` means nothing.
    """

    name: str
    decided_at: datetime | str
    clock: Clock
    trigger: str
    customer_id: str | None
    store: str | None
    store_column: str | None
    arm: str
    actions: Mapping[str, str]
    design: Mapping[str, float]
    features: Mapping[str, str]
    outcomes: OutcomeColumns
    estimated: bool = False
    figures: Figures = PLAIN


def read_trial_mapping(path: Path, file: Path, programme: Programme) -> tuple[TrialMapping, Table]:
    """Return the mapping at `path` and the table in `file` that it is about.

    Raises
    ------
    InvalidMapping : the mapping has mistakes; each is listed with its line and place.
    InvalidInput : the file can't be read as a table.
    """
    draft = begin(path, file)
    head = draft.root.sub("trial")
    clock = clock_of(head, programme.timezone)
    arms = draft.root.sub("arms")
    actions = _actions(arms, programme)
    mapping = TrialMapping(
        name=name_of(head),
        decided_at=_decided_at(draft, head, clock),
        clock=clock,
        trigger=head.text("trigger", one_of=TRIGGERS),
        customer_id=draft.optional_column(head, "customer_id"),
        store=_store(head, programme),
        store_column=draft.optional_column(head, "store_column"),
        arm=draft.column(arms, "column"),
        actions=MappingProxyType(actions),
        design=MappingProxyType(_design(draft.root.sub("design"), tuple(actions), draft.root.has("design"))),
        features=MappingProxyType(_features(draft, programme)),
        outcomes=_outcomes(draft),
        estimated=head.has("propensity") and head.text("propensity", one_of=("design", "estimated")) == "estimated",
        figures=draft.figures,
    )
    if mapping.estimated and draft.root.has("design"):
        head.wrong("propensity", 'expected no [design] beside "estimated": its odds would be known')
    if mapping.store is not None and mapping.store_column is not None:
        head.wrong("store_column", "expected a `store` or a `store_column`, found both")
    head.finish()
    draft.finish()
    return mapping, draft.table


def _decided_at(draft: Draft, head: Section, clock: Clock) -> datetime | str:
    value = head.raw("decided_at")
    if isinstance(value, date):
        try:
            return clock.read(value, "decided_at")
        except Unusable:
            head.wrong("decided_at", f"expected a date after 1970, found {value}")
            return "unnamed"
    if value is None:
        head.wrong("decided_at", "expected a date such as 2026-03-01, or a column in quotes, found nothing")
        return "unnamed"
    return draft.column(head, "decided_at")


def _store(head: Section, programme: Programme) -> str | None:
    if not head.has("store"):
        return None
    store = head.text("store")
    if store not in programme.stores:
        head.wrong("store", unknown("store", store, tuple(programme.stores)))
    return store


def _actions(arms: Section, programme: Programme) -> dict[str, str]:
    known = tuple(action.action_id for action in programme.actions)
    actions = {arm: arms.text(arm) for arm in arms.table if arm != "column"}
    for arm, action_id in actions.items():
        if isinstance(arms.table[arm], str) and action_id not in known:
            arms.wrong(arm, unknown("action", action_id, known))
    if CONTROL not in actions.values():
        arms.wrong("", 'expected an arm that is "control": without it no uplift can be known')
    if len(set(actions.values())) < 2:
        arms.wrong("", 'expected at least two actions, such as "No e-mail" = "control" and another arm')
    return actions


def _design(section: Section, arms: tuple[str, ...], given: bool) -> dict[str, float]:
    if not given:
        return {arm: 1.0 / len(arms) for arm in arms}
    for arm in section.table:
        if arm not in arms:
            section.wrong(arm, unknown("arm", arm, arms))
        section.raw(arm)
    design = {arm: section.number(arm, high=1.0) for arm in arms}
    total = sum(design.values())
    if abs(total - 1.0) > DESIGN_TOLERANCE or min(design.values(), default=0.0) <= 0.0:
        section.wrong(
            "",
            f"expected probabilities above 0 that add up to 1, found a sum of {total:g}; "
            "leave [design] out where all arms were equally likely",
        )
        return design
    return {arm: probability / total for arm, probability in design.items()}


def _features(draft: Draft, programme: Programme) -> dict[str, str]:
    section = draft.root.sub("features")
    for name in section.table:
        if name not in programme.features:
            sentence = unknown("feature", name, tuple(programme.features))
            section.wrong(name, f"{sentence}; declare it in programme.toml under [features]")
    return {name: draft.column(section, name) for name in section.table}


def _outcomes(draft: Draft) -> OutcomeColumns:
    section = draft.root.sub("outcomes")
    columns = OutcomeColumns(
        visited=draft.optional_column(section, "visited"),
        repurchased=draft.column(section, "repurchased"),
        revenue=draft.column(section, "revenue"),
        margin=draft.optional_column(section, "margin"),
        redeemed=draft.optional_column(section, "redeemed"),
    )
    section.finish()
    return columns
