"""What an analysis is shown by, beside its figures: effects over time and distributions, where they may be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.ab.analysis import Analysis
from experiments.ab.distributions import Distribution, distributions_of
from experiments.ab.ledger_actions import ActionEffect
from experiments.ab.over_time import Series, effects_over_time
from experiments.ab.units import Units


@dataclass(frozen=True, slots=True)
class Evidence:
    """Series over time, distributions by arm, the comparison of a bandit's actions, and the text of the case file."""

    over_time: tuple[Series, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    actions: tuple[ActionEffect, ...] = ()
    case_text: str = ""


def evidence_of(
    analysis: Analysis,
    units: Units,
    *,
    actions: tuple[ActionEffect, ...] = (),
    case_text: str = "",
    known_after_days: float = 0.0,
    tell: Callable[[str], None] = lambda _: None,
) -> Evidence:
    """Return what an analysis is shown by; no picture while it is too early, as whoever has seen one has looked."""
    if analysis.too_early:
        return Evidence(case_text=case_text)
    return Evidence(
        effects_over_time(analysis.case, units, known_after_days=known_after_days, tell=tell),
        distributions_of(analysis.case, units),
        actions,
        case_text,
    )
