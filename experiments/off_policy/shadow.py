"""Shadow mode: what a challenger would have done in the decisions of the last days, before anything is switched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput
from experiments.off_policy.gate import DEFAULT_RULES, GateRules, judge
from experiments.off_policy.guardrail import GuardrailMetric
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.verdict import Verdict

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Move:
    """A share of all decisions in which the challenger would do `instead` what the champion does as `action`."""

    action: str
    instead: str
    share: float


@dataclass(frozen=True, slots=True)
class GroupChange:
    """A group of n decisions, and the share of them in which the challenger would do something else."""

    name: str
    n: int
    changed: float


@dataclass(frozen=True, slots=True)
class Shadow:
    """A challenger beside the champion on n logged decisions.

    `match_rate` is the probability that the challenger, drawing for itself, does what was logged;
    `own_match_rate` the same of the champion, the most that can be expected of a policy that draws. `agreement`
    is the average probability that both have in common, 1 for equal policies. `moves` and `groups` are the largest
    first. `verdict` is the gate's on the decisions that may judge, or None where there are none.
    """

    n: int
    match_rate: float
    own_match_rate: float
    agreement: float
    moves: tuple[Move, ...]
    groups: tuple[GroupChange, ...]
    judged: int
    verdict: Verdict | None

    def sentences(self) -> tuple[str, ...]:
        """The same for a person to read, before anything is switched on."""
        lines = [
            f"In {self.n:,} decisions the challenger would have done the same as was done in {self.match_rate:.0%} "
            f"(the champion, drawing again, in {self.own_match_rate:.0%}).",
            f"The two policies agree in {self.agreement:.0%} of what they do.",
        ]
        lines += [f"{move.share:.1%} of decisions: {move.instead} instead of {move.action}." for move in self.moves]
        lines += [f"{group.name}: {group.changed:.0%} of {group.n:,} decisions change." for group in self.groups]
        if self.verdict is None:
            return (*lines, "The gain can't be estimated yet: no outcome of a customer held out has matured.")
        gain = self.verdict.contrast
        lines.append(
            f"Estimated gain on {self.judged:,} matured decisions of customers held out: {gain.gain:+.4g} per decision "
            f"({gain.level:.0%} interval {gain.low:+.4g} to {gain.high:+.4g})."
        )
        lines += [finding.sentence() for finding in self.verdict.guardrails]
        would = "promote" if self.verdict.promote else "not promote"
        lines.append(f"The gate would {would} it. Nothing has been switched on.")
        return tuple(lines)


def shadow(
    rounds: Rounds,
    champion: FloatArray,
    *,
    actions: Sequence[str],
    may_judge: BoolArray,
    groups: Mapping[str, BoolArray] | None = None,
    cluster: NDArray[np.generic] | None = None,
    rules: GateRules = DEFAULT_RULES,
    guardrails: Sequence[GuardrailMetric] = (),
    most: int = 5,
) -> Shadow:
    """Replay the challenger `rounds.target` beside `champion` on logged decisions; changes nothing.

    Parameters
    ----------
    rounds : the decisions; rewards matter only where `may_judge`.
    champion : float[n, K], what serves now.
    actions : names of the K actions.
    may_judge : bool[n], decisions of customers whom the challenger was not trained on, with a matured reward.
    groups : bool[n] by name, whose share of changes is reported.
    cluster : ids [n] of the customers.
    guardrails : metrics of the decisions that may judge, in their order.
    most : how many moves and groups to report.

    Raises
    ------
    InvalidInput : shapes differ, or without q_hat where decisions may judge.
    """
    if champion.shape != rounds.target.shape or len(actions) != rounds.n_actions or len(may_judge) != len(rounds):
        raise InvalidInput(
            f"champion must have shape {list(rounds.target.shape)}, actions and may_judge one entry for each action "
            f"and round, found {list(champion.shape)}, {len(actions)} and {len(may_judge)}."
        )
    common = np.minimum(rounds.target, champion)
    changed = 1 - common.sum(axis=1)
    verdict = None
    if may_judge.any():
        index = np.flatnonzero(may_judge)
        customers = None if cluster is None else cluster[index]
        verdict = judge(
            rounds.take(index),
            champion[index],
            in_sample=False,
            cluster=customers,
            rules=rules,
            guardrails=guardrails,
        )
    found = [GroupChange(name, int(who.sum()), float(changed[who].mean())) for name, who in (groups or {}).items()]
    return Shadow(
        n=len(rounds),
        match_rate=float(rounds.of_logged(rounds.target).mean()),
        own_match_rate=float(rounds.of_logged(champion).mean()),
        agreement=float(1 - changed.mean()),
        moves=_moves(champion - common, rounds.target - common, changed, actions)[:most],
        groups=tuple(sorted(found, key=lambda group: -group.changed)[:most]),
        judged=int(may_judge.sum()),
        verdict=verdict,
    )


def _moves(less: FloatArray, more: FloatArray, changed: FloatArray, actions: Sequence[str]) -> tuple[Move, ...]:
    """What moves from one action to another when as few decisions change as can: the largest shares first."""
    share = np.divide(1.0, changed, out=np.zeros_like(changed), where=changed > 1e-12)
    flow = (less * share[:, None]).T @ more / len(changed)
    order = np.argsort(-flow, axis=None, kind="stable")
    places = (np.unravel_index(place, flow.shape) for place in order)
    return tuple(Move(actions[i], actions[j], float(flow[i, j])) for i, j in places if flow[i, j] > 0.0005)
