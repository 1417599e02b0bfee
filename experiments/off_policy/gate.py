"""The promotion gate: may this challenger replace the champion?"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, NotEnoughData
from experiments.off_policy.contrast import Contrast, GainSums, settled_terms
from experiments.off_policy.dr import Dr
from experiments.off_policy.guardrail import GuardrailFinding, GuardrailMetric, guard
from experiments.off_policy.overlap import Overlap, OverlapSums
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.verdict import Reason, Verdict


@dataclass(frozen=True, slots=True)
class GateRules:
    """What a promotion takes; every limit holds for the challenger and for the champion.

    Parameters
    ----------
    min_gain : the lower bound of the gain must exceed this, in reward units per decision.
    level : confidence of that one-sided bound. The bound is exact only for long logs, so the default leaves room:
        0.96 keeps false promotions below 5 % in simulation, where 0.95 came to 5.3 % of 300 in its worst setting.
    min_effective_sample_size : Kish's, of the weights.
    min_effective_rewards : of those whose weights make up the evidence, see `Overlap`; with fewer, chance is
        too skewed for any interval.
    max_top1_weight_share : most of the weight that the heaviest 1 % of rounds may carry.
    max_missing_mass : most of what a policy does that the log may lack altogether.
    min_rounds : logged rounds.
    """

    min_gain: float = 0.0
    level: float = 0.96
    min_effective_sample_size: float = 200.0
    min_effective_rewards: float = 5.0
    max_top1_weight_share: float = 0.75
    max_missing_mass: float = 0.05
    min_rounds: int = 500

    def __post_init__(self) -> None:
        if not (0.5 < self.level < 1 and math.isfinite(self.min_gain)):
            raise InvalidInput(
                f"level must lie in (0.5, 1), min_gain be finite, found {self.level:g}, {self.min_gain:g}.",
                hint="level=0.96 allows one false promotion in twenty-five challengers without a gain.",
            )


DEFAULT_RULES = GateRules()
# It has nothing to choose and nothing to divide by, so its terms are the same in a part of the log.
ESTIMATOR = Dr()


def judge(
    rounds: Rounds,
    champion: FloatArray,
    *,
    in_sample: bool,
    cluster: NDArray[np.generic] | None = None,
    rules: GateRules = DEFAULT_RULES,
    guardrails: Sequence[GuardrailMetric] = (),
) -> Verdict:
    """Judge the challenger `rounds.target` against `champion` on a log that neither was trained on.

    The gain is the doubly robust contrast with weights as they are. Clipping them would let the reward model speak
    where the log is thin, and a challenger made from the same model shares its mistakes: in simulation one without
    a gain was promoted in a third of logs that way. The bounds are those of `intervals.careful`, which are safe under
    heavy weights.
    The bound holds for one look: who judges the same challenger every day, or picks the best of many,
    promotes falsely more often.

    Parameters
    ----------
    rounds : the log with out-of-fold q_hat; rewards have matured.
    champion : float[n, K], the champion's probabilities on the same rounds.
    in_sample : whether the challenger's training saw any of these rounds. Then it is refused: cross-fitting
        q_hat does not help, and a challenger without a gain looks better in most cases.
    cluster : ids [n] of the customers, for cluster-robust standard errors.
    guardrails : metrics of the same rounds, any of which can veto; their bounds have the gate's level, one by one.

    Raises
    ------
    InvalidInput : without q_hat, or when shapes differ.
    """
    guarded = tuple(
        guard(metric, rounds, champion, estimator=ESTIMATOR, level=rules.level, cluster=cluster)
        for metric in guardrails
    )
    evidence = Evidence.of(rounds, champion, cluster=cluster)
    return evidence.verdict(in_sample=in_sample, rules=rules, guarded=guarded)


def judge_stream(parts: Iterable[Evidence], *, in_sample: bool, rules: GateRules = DEFAULT_RULES) -> Verdict:
    """Judge on a log that doesn't fit into memory, as `judge` does on all of it, without guardrail metrics.

    Raises
    ------
    NotEnoughData : there is no part.
    """
    rest = iter(parts)
    first = next(rest, None)
    if first is None:
        raise NotEnoughData("Expected logged rounds, found none.", hint="Look at what selects them.")
    return sum(rest, first).verdict(in_sample=in_sample, rules=rules, guarded=())


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a log or a part of one says of challenger and champion; that of two parts adds.

    A part takes a few kilobytes, and 24 bytes for each customer in it.
    """

    gain: GainSums
    challenger: OverlapSums
    champion: OverlapSums

    @classmethod
    def of(cls, rounds: Rounds, champion: FloatArray, *, cluster: NDArray[np.generic] | None = None) -> Evidence:
        """Summarise rounds whose target is the challenger; see `judge`."""
        beside = rounds.with_target(champion)
        ours, theirs = (settled_terms(ESTIMATOR, log) for log in (rounds, beside))
        return cls(GainSums.of(ours, theirs, cluster), OverlapSums.of(rounds), OverlapSums.of(beside))

    def __add__(self, other: Evidence) -> Evidence:
        return Evidence(self.gain + other.gain, self.challenger + other.challenger, self.champion + other.champion)

    def verdict(self, *, in_sample: bool, rules: GateRules, guarded: tuple[GuardrailFinding, ...]) -> Verdict:
        """The gate's answer on all rounds behind this."""
        gain, challenger, champion = self.gain.contrast(rules.level), self.challenger.overlap(), self.champion.overlap()
        found = doubts(challenger, rules) | doubts(champion, rules) | _about_gain(gain, rules)
        if any(finding.vetoes for finding in guarded):
            found.add(Reason.GUARDRAIL_METRIC)
        if in_sample:
            found.add(Reason.TRAINED_ON_THIS_LOG)
        return Verdict(
            promote=not found,
            reasons=tuple(reason for reason in Reason if reason in found),
            contrast=gain,
            overlap=challenger,
            champion_overlap=champion,
            guardrails=guarded,
        )


def _about_gain(gain: Contrast, rules: GateRules) -> set[Reason]:
    return set() if gain.lower_bound > rules.min_gain else {Reason.GAIN_NOT_PROVEN}


def doubts(seen: Overlap, rules: GateRules = DEFAULT_RULES) -> set[Reason]:
    """Why the log says too little of one policy for its value to be believed; empty when it says enough."""
    checks = {
        Reason.NOT_ENOUGH_DATA: seen.n < rules.min_rounds
        or seen.effective_sample_size < rules.min_effective_sample_size
        or seen.effective_rewards < rules.min_effective_rewards,
        Reason.NO_SUPPORT: seen.missing_mass > rules.max_missing_mass,
        Reason.CONCENTRATED_WEIGHTS: seen.top1_weight_share > rules.max_top1_weight_share,
        Reason.WRONG_PROPENSITIES: seen.excess_weight > 0,
    }
    return {reason for reason, holds in checks.items() if holds}
