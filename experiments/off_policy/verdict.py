"""What the promotion gate answers, for a program and for a person."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from experiments.off_policy.contrast import Contrast
from experiments.off_policy.guardrail import GuardrailFinding
from experiments.off_policy.overlap import Overlap


class Reason(StrEnum):
    """Why a challenger is not promoted."""

    TRAINED_ON_THIS_LOG = "trained_on_this_log"
    NOT_ENOUGH_DATA = "not_enough_data"
    NO_SUPPORT = "no_support"
    CONCENTRATED_WEIGHTS = "concentrated_weights"
    WRONG_PROPENSITIES = "wrong_propensities"
    GAIN_NOT_PROVEN = "gain_not_proven"
    GUARDRAIL_METRIC = "guardrail_metric"


EXPLANATION = {
    Reason.TRAINED_ON_THIS_LOG: "The challenger was trained on this log, so it can't be judged by it: "
    "it knows the answers. Judge it on decisions made after its training data, or on other customers.",
    Reason.NOT_ENOUGH_DATA: "There is not enough data: wait for more decisions whose outcome has matured.",
    Reason.NO_SUPPORT: "The log has no support for part of what one of the policies does: "
    "give those actions some exploration first.",
    Reason.CONCENTRATED_WEIGHTS: "Too much rests on too few decisions: explore more, or wait for more decisions.",
    Reason.WRONG_PROPENSITIES: "The logged propensities don't fit the logged actions: "
    "nothing can be said about any policy until that is mended.",
    Reason.GAIN_NOT_PROVEN: "The gain isn't proven: it may be chance.",
    Reason.GUARDRAIL_METRIC: "A guardrail metric forbids it, whatever the gain.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promotion, or the reasons against it; `overlap` is the challenger's.

    `reasons` are codes in the order of `Reason`, none when promoted.
    """

    promote: bool
    reasons: tuple[Reason, ...]
    contrast: Contrast
    overlap: Overlap
    champion_overlap: Overlap
    guardrails: tuple[GuardrailFinding, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """The verdict, why, by how much, and on what evidence; for a marketer."""
        gain = self.contrast
        head = "Promote the challenger." if self.promote else "Keep the champion."
        figures = (
            f"The challenger is estimated to bring {gain.gain:+.4g} per decision compared with the champion; "
            f"with {gain.level:.0%} confidence at least {gain.lower_bound:+.4g} "
            f"({gain.level:.0%} interval {gain.low:+.4g} to {gain.high:+.4g})."
        )
        why = (EXPLANATION[reason] for reason in self.reasons)
        guarded = (finding.sentence() for finding in self.guardrails)
        return (head, *why, figures, *guarded, *self.overlap.sentences())
