"""All of an analysis in one sentence that needs no statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from experiments.ab.analysis import Analysis, MetricResult, Outcome, State
from experiments.ab.case import Role
from experiments.ab.words import listed, sized, spoken

_SAID = {
    Outcome.HARMFUL: ("does harm beyond what was tolerated", "do harm beyond what was tolerated"),
    Outcome.BETTER: ("is better than {control}", "are better than {control}"),
    Outcome.WORSE: ("is worse than {control}", "are worse than {control}"),
    Outcome.UNDECIDED: ("can't be told from {control}", "can't be told from {control}"),
    Outcome.NOT_ENOUGH_DATA: ("has too little data to be judged", "have too little data to be judged"),
}


def headline_of(analysis: Analysis) -> str:
    """Return the verdict on all arms in one sentence."""
    control, arms = analysis.case.arms.control, analysis.case.arms.treatments
    if analysis.state is State.UNSOUND:
        return f"This test can't be believed: {listed(failed(analysis))} failed."
    if analysis.state is State.TOO_EARLY:
        compare = "compares" if len(arms) == 1 else "compare"
        return f"Too early to say how {listed(arms)} {compare} with {control}."
    return "; ".join(_parts(analysis, control)) + "."


def failed(analysis: Analysis) -> list[str]:
    """Return the names of the checks that forbid to believe the results."""
    return [f"the check of {check.name}" for check in analysis.failed]


def doubt_of(analysis: Analysis) -> str:
    """Return why results are not to be believed; empty where they are."""
    return "" if analysis.sound else f"Not to be believed: {listed(failed(analysis))} failed."


def _parts(analysis: Analysis, control: str) -> Iterator[str]:
    for outcome, (one, several) in _SAID.items():
        arms = [verdict.arm for verdict in analysis.verdicts if verdict.outcome is outcome]
        if not arms:
            continue
        said = (one if len(arms) == 1 else several).format(control=control)
        by = [_by_how_much(analysis.results, arm, with_arm=len(arms) > 1) for arm in arms]
        known = outcome not in (Outcome.NOT_ENOUGH_DATA, Outcome.HARMFUL)
        yield f"{listed(arms)} {said}" + (f": {listed([text for text in by if text])}" if known and any(by) else "")


def _by_how_much(results: Sequence[MetricResult], arm: str, *, with_arm: bool) -> str:
    primary = [one for one in results if one.arm == arm and one.metric.role is Role.PRIMARY]
    told = listed([f"{spoken(one.metric.name)} {sized(one)}" for one in primary])
    return f"{told} with {arm}" if with_arm and told else told
