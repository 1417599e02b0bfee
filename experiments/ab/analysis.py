"""What an analysis found, as records: the same for the text, for JSON and for pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from experiments.ab.arm_figure import ArmFigure
from experiments.ab.bayes import Posterior
from experiments.ab.case import Case, Metric
from experiments.ab.heterogeneity import Heterogeneity
from experiments.ab.money import Money
from experiments.ab.noninferiority import GuardrailReading
from experiments.ab.plans import Reading
from experiments.ab.soundness import Check, Finding


class Outcome(StrEnum):
    """What can be said of an arm."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    HARMFUL = "harmful"
    TOO_EARLY = "too_early"
    UNSOUND = "unsound"
    NOT_ENOUGH_DATA = "not_enough_data"


class State(StrEnum):
    """Whether an analysis may be read, and if not, what is in the way; what comes first here outweighs what follows."""

    UNSOUND = "unsound"
    TOO_EARLY = "too_early"
    NOT_ENOUGH_DATA = "not_enough_data"
    CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class MetricResult:
    """A metric of an arm against control.

    `relative` is None with `no_relative` where there is nothing to be relative to. `adjusted_p_value` is corrected for
    the metrics and arms of the same role; None for guardrail metrics, each of which must hold by itself.
    """

    metric: Metric
    arm: str
    control: ArmFigure
    treatment: ArmFigure
    absolute: Reading
    relative: Reading | None
    no_relative: str
    adjusted_p_value: float | None
    guardrail: GuardrailReading | None
    posterior: Posterior | None

    @property
    def variance_removed(self) -> float:
        """Return the share of the variance that the covariates explain."""
        raw = self.control.raw_variance + self.treatment.raw_variance
        return 1 - (self.control.variance + self.treatment.variance) / raw if raw > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A metric of an arm of which nothing can be said, and why."""

    metric: Metric
    arm: str
    reason: str


@dataclass(frozen=True, slots=True)
class Segments:
    """A metric's effects by segment of a dimension.

    `adjusted_p_value` is that of the test that all are the same, corrected for all dimensions, metrics and arms.
    """

    metric: str
    arm: str
    effects: Heterogeneity
    adjusted_p_value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of an arm in a sentence."""

    arm: str
    outcome: Outcome
    sentence: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """All of it. `claim` says what is causal about the comparison and why; `counts` are units by arm."""

    case: Case
    claim: str
    counts: Mapping[str, int]
    left_out: Mapping[str, int]
    checks: tuple[Check, ...]
    results: tuple[MetricResult, ...]
    refusals: tuple[Refusal, ...]
    segments: tuple[Segments, ...]
    money: Mapping[str, Money]
    verdicts: tuple[Verdict, ...]

    @property
    def sound(self) -> bool:
        """Return whether no check failed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Check, ...]:
        """Return the checks that forbid to believe the results."""
        return tuple(check for check in self.checks if check.finding is Finding.UNSOUND)

    @property
    def too_early(self) -> bool:
        """Return whether the plan, named before looking, says to wait: then no figure may be shown."""
        return any(result.absolute.too_early for result in self.results)

    @property
    def state(self) -> State:
        """Return whether results may be read for every arm."""
        if not self.sound:
            return State.UNSOUND
        outcomes = {verdict.outcome for verdict in self.verdicts}
        if self.too_early or Outcome.TOO_EARLY in outcomes:
            return State.TOO_EARLY
        return State.NOT_ENOUGH_DATA if Outcome.NOT_ENOUGH_DATA in outcomes else State.CLEAR

    @property
    def clear(self) -> bool:
        """Return whether results may be read for every arm: sound, in time, and with enough data."""
        return self.state is State.CLEAR
