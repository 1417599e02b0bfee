"""What `encore ab analyse` was asked about, analysed: a case, or the programme itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from decision.errors import InvalidInput, NotEnoughData
from decision.results import PROGRAMME, AnalysisHead
from decision.wiring import Home
from experiments.ab.analyse import RANDOMISED, analyse
from experiments.ab.analysis import Analysis
from experiments.ab.as_text import lines_of, lines_of_actions
from experiments.ab.case import Case
from experiments.ab.case_file import PROGRAMME_CASE, read_tables
from experiments.ab.case_source import case_of_file, case_of_ledger, source_of, windows_of
from experiments.ab.ledger_actions import ActionEffect, action_effects
from experiments.ab.ledger_units import CLAIM
from experiments.ab.published import head_of, id_of
from experiments.ab.units import Units


@dataclass(frozen=True, eq=False)
class Asked:
    """An analysis with its head; without enough data to open it there is the head alone.

    `known_after_days` is how long after her first decision a customer of the ledger counts; `text` is the case file.
    `is_programme` : the head says it in money; `why_not` is what keeps it from being analysed. `beside` is the
    programme against business as usual, where it has such a group.
    """

    head: AnalysisHead
    analysis: Analysis | None = None
    units: Units | None = None
    actions: tuple[ActionEffect, ...] = ()
    text: str = ""
    known_after_days: float = 0.0
    is_programme: bool = False
    why_not: str = ""
    beside: Asked | None = None

    @property
    def each(self) -> tuple[Asked, ...]:
        """Return this, and what is beside it."""
        return (self,) if self.beside is None else (self, self.beside)

    def lines(self, currency: str) -> list[str]:
        """Return what a terminal shows: the verdicts in money, then each comparison with all of it."""
        found = [one.head.verdict for one in self.each if one.is_programme or one.analysis is None]
        found += [self.why_not] if self.why_not else []
        if self.analysis is not None:
            found += lines_of(self.analysis)
        found += lines_of_actions(self.actions, currency) if self.actions else ()
        if self.beside is not None and self.beside.analysis is not None:
            found += ["", self.beside.head.name, "", *lines_of(self.beside.analysis)]
        return found


def analysed_programme(home: Home, name: str | None, *, now: datetime, tell: Callable[[str], None]) -> Asked:
    """Return the programme against its holdout, and beside it against business as usual.

    Raises `InvalidInput` for another id than its own.
    """
    from experiments.live.findings import findings
    from experiments.live.published import head_of_programme, head_of_usual

    if name not in (None, PROGRAMME):
        raise InvalidInput(f"Expected the id {PROGRAMME!r} for the programme's own analysis, found {name!r}.")
    found = findings(home.ledger(), home.programme(), now=now, tell=tell)
    usual, beside = head_of_usual(found), None
    if usual is not None:
        beside = Asked(usual, None if found.usual is None else found.usual.analysis, is_programme=True)
    if found.holdout is None:
        return Asked(head_of_programme(found), why_not=found.no_holdout, is_programme=True, beside=beside)
    return Asked(
        head_of_programme(found),
        found.holdout.analysis,
        found.holdout.units,
        found.actions,
        "" if found.programme.metrics else PROGRAMME_CASE.read_text(encoding="utf-8"),
        found.known_after_days,
        is_programme=True,
        beside=beside,
    )


def analysed_case(
    home: Home, path: Path, file: Path | None, name: str | None, *, now: datetime, tell: Callable[[str], None]
) -> Asked:
    """Return a case on its own units, or on the ledger's customers."""
    text, tables = read_tables(path)
    table = tables.get("case")
    title = str(table.get("name")) if isinstance(table, dict) and table.get("name") else path.stem
    named = file or source_of(path)
    try:
        case, units = (
            case_of_file(path, named)
            if named is not None
            else case_of_ledger(path, home.ledger(), home.programme(), now=now)
        )
    except NotEnoughData as error:
        return Asked(AnalysisHead(name or id_of(title), title, "", "not_enough_data", str(error), now))
    ours = case.file is None
    analysis = analyse(case, units, claim=CLAIM if ours else RANDOMISED, tell=tell)
    # Decisions may be enough for them before customers are: no figure of a test is shown before its time.
    told = ours and not analysis.too_early
    actions = action_effects(home.ledger().rewarded(), case.plan, case.correction) if told else ()
    head = head_of(analysis, name or id_of(title), as_of=now)
    return Asked(head, analysis, units, actions, text, _known_after(home, case) if ours else 0.0)


def _known_after(home: Home, case: Case) -> float:
    programme = home.programme()
    named = ((metric.role, metric.window_days) for metric in case.metrics)
    return max(windows_of(named, float(programme.attribution_window_days))) + programme.refund_window_days
