"""What is said of each arm in one sentence, and why not more."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.ab.analysis import MetricResult, Outcome, Refusal, Verdict
from experiments.ab.case import Case, Metric, Role
from experiments.ab.noninferiority import Better, GuardrailReading, Safety
from experiments.ab.soundness import Check, Finding
from experiments.ab.words import change, shows, signed


def verdicts_of(
    case: Case, checks: Sequence[Check], results: Sequence[MetricResult], refusals: Sequence[Refusal]
) -> tuple[Verdict, ...]:
    """Return a verdict for each arm that is compared with control."""
    failed = [check.name for check in checks if check.finding is Finding.UNSOUND]
    found = []
    for arm in case.arms.treatments:
        if failed:
            text = f"Nothing can be said of {arm}: the trial is not sound ({', '.join(failed)})."
            found.append(Verdict(arm, Outcome.UNSOUND, text))
            continue
        refused = [one for one in refusals if one.arm == arm and one.metric.role is Role.PRIMARY]
        mine = [result for result in results if result.arm == arm]
        found.append(_refused(arm, refused[0]) if refused else _of(case, arm, mine))
    return tuple(found)


def _refused(arm: str, refusal: Refusal) -> Verdict:
    text = f"Not enough data for {refusal.metric.name} of {arm}: {refusal.reason}"
    return Verdict(arm, Outcome.NOT_ENOUGH_DATA, text)


def _of(case: Case, arm: str, results: Sequence[MetricResult]) -> Verdict:
    primary = [result for result in results if result.metric.role is Role.PRIMARY]
    early = [result for result in primary if result.absolute.too_early]
    if early:
        return Verdict(arm, Outcome.TOO_EARLY, f"{arm} can't be judged yet. {early[0].absolute.sentence}")
    told = [result for result in primary if (result.adjusted_p_value or 0.0) <= case.plan.alpha]
    good = [result for result in told if _good(result)]
    bad = [result for result in told if not _good(result)]
    harmed = [result for result in results if result.guardrail and result.guardrail.safety is Safety.HARMED]
    shown = "; ".join(f"{result.metric.name} {change(result)}" for result in primary)
    if harmed:
        names = ", ".join(result.metric.name for result in harmed)
        outcome, said = Outcome.HARMFUL, f"{arm} does harm beyond what is tolerated ({names})"
    elif bad:
        outcome, said = Outcome.WORSE, f"{arm} is worse than {case.arms.control}"
    elif good:
        outcome, said = Outcome.BETTER, f"{arm} is better than {case.arms.control}"
    else:
        outcome, said = Outcome.UNDECIDED, f"{arm} and {case.arms.control} can't be told apart"
    return Verdict(arm, outcome, f"{said}: {shown}.{_unproven(results)}")


def _good(result: MetricResult) -> bool:
    return (result.absolute.effect.estimate > 0) == (result.metric.better is Better.HIGHER)


def _unproven(results: Sequence[MetricResult]) -> str:
    open_ones = [result for result in results if result.guardrail and result.guardrail.safety is Safety.OPEN]
    if not open_ones:
        return ""
    names = ", ".join(
        f"{one.metric.name} (at worst {_worst(one.metric, one.guardrail)})" for one in open_ones if one.guardrail
    )
    return f" Not shown to be safe: {names}."


def _worst(metric: Metric, found: GuardrailReading) -> str:
    return (shows(metric.margin) if metric.margin else signed)(found.worst)
