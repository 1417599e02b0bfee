"""How much of the target policy the log has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimate import kish
from experiments.off_policy.rounds import Rounds


@dataclass(frozen=True, slots=True)
class Overlap:
    """Facts about the importance weights of one target policy on one log.

    The weights of a policy that the log supports average 1; `mean_weight` is taken before clipping.
    `effective_sample_size` (Kish 1965), `max_weight` and `top1_weight_share` (share of the weight on the
    heaviest 1 % of rounds) are of the weights after clipping, `clipped_share` is what clipping took away.
    `unsupported_actions` are those the target uses with more than a threshold of its mass and the log
    never took; `unsupported_mass` is their share of what the target does.
    """

    n: int
    effective_sample_size: float
    max_weight: float
    top1_weight_share: float
    clipped_share: float
    mean_weight: float
    mean_weight_standard_error: float
    unsupported_actions: tuple[int, ...]
    unsupported_mass: float

    @property
    def missing_mass(self) -> float:
        """Share of what the target does that the log surely lacks: on actions it never took, or by a
        mean weight more than three standard errors below 1."""
        shortfall = 1 - self.mean_weight - 3 * self.mean_weight_standard_error
        return max(self.unsupported_mass, shortfall, 0.0)

    @property
    def excess_weight(self) -> float:
        """How far the mean weight lies above 1 beyond five standard errors; right propensities give 0."""
        return max(self.mean_weight - 1 - 5 * self.mean_weight_standard_error, 0.0)

    def sentences(self) -> tuple[str, ...]:
        """The same for a person to read."""
        lines = [
            f"{self.n:,} logged decisions say as much about this policy as "
            f"{self.effective_sample_size:,.0f} decisions of its own would.",
            f"The heaviest 1 % of decisions carry {self.top1_weight_share:.0%} of the evidence; "
            f"one decision stands for up to {self.max_weight:,.0f}.",
        ]
        if self.clipped_share > 0:
            lines.append(f"For {self.clipped_share:.0%} of this policy the reward model speaks, not the log.")
        if self.unsupported_actions:
            names = ", ".join(map(str, self.unsupported_actions))
            lines.append(f"The log never took action {names}: {self.unsupported_mass:.0%} of this policy.")
        if self.missing_mass > self.unsupported_mass:
            lines.append(f"At least {self.missing_mass:.0%} of this policy has no counterpart in the log.")
        if self.excess_weight > 0:
            lines.append(f"The weights average {self.mean_weight:.2f}, not 1: logged propensities are wrong.")
        return tuple(lines)


def overlap(rounds: Rounds, *, clip: float = math.inf, threshold: float = 0.001) -> Overlap:
    """Measure how well the log supports `rounds.target`.

    Parameters
    ----------
    clip : largest weight that the estimator will use.
    threshold : smallest share of the target's mass at which an action that was never logged counts.
    """
    weight = rounds.weight
    used = np.minimum(weight, clip)
    n, total = len(weight), float(used.sum())
    heaviest = np.sort(used)[-math.ceil(n / 100) :]
    mass = rounds.target.mean(axis=0)
    seen = np.bincount(rounds.action, minlength=rounds.n_actions) > 0
    missing = np.flatnonzero(~seen & (mass > threshold))
    return Overlap(
        n=n,
        effective_sample_size=kish(total, float(used @ used)),
        max_weight=float(used.max()),
        top1_weight_share=float(heaviest.sum()) / total if total > 0 else 0.0,
        clipped_share=1 - total / float(weight.sum()) if total > 0 else 0.0,
        mean_weight=float(weight.mean()),
        mean_weight_standard_error=float(weight.std(ddof=1)) / math.sqrt(n) if n > 1 else math.inf,
        unsupported_actions=tuple(int(action) for action in missing),
        unsupported_mass=float(mass[missing].sum()),
    )
