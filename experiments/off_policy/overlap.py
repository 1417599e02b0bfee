"""How much of the target policy the log has seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimate import kish
from experiments.off_policy.rounds import FloatArray, Rounds, beside
from experiments.off_policy.sums import Sums

SMALLEST, BINS_AN_OCTAVE, N_BINS = 2.0**-40, 64, 5_120
"""Bins of weights, each 1.1 % wide, from 1e-12 to 1e12."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """Facts about the importance weights of one target policy on one log.

    The weights of a policy that the log supports average 1; `mean_weight` is taken before clipping.
    `effective_sample_size` (Kish 1965), `max_weight` and `top1_weight_share` (share of the weight on the
    heaviest 1 % of rounds) are of the weights after clipping, `clipped_share` is what clipping took away.
    `effective_rewards` says to how many rewards of equal weight the evidence amounts: with equal weights and
    purchases of equal size it is the number of purchases. It is 1 / skewness^2 of the estimate where rewards
    fall on all weights alike, so a log whose heavy rounds happen to hold no purchase can't hide it.
    `unsupported_actions` are those the target uses with more than a threshold of its mass and the log
    never took; `unsupported_mass` is their share of what the target does.
    """

    n: int
    effective_sample_size: float
    effective_rewards: float
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
            f"{self.effective_sample_size:,.0f} decisions of its own would. "
            f"Its rewards count as {self.effective_rewards:,.0f} of equal weight.",
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
    return OverlapSums.of(rounds, clip=clip).overlap(threshold=threshold)


@dataclass(frozen=True, eq=False)
class OverlapSums:
    """What `Overlap` is computed from; sums of parts of a log add.

    Parameters
    ----------
    weights : means and moments of two columns, the weights before and after clipping.
    cubes : sum of the clipped weights' cubes.
    rewards : float[2], sums of squares and of absolute cubes of the rewards.
    mass : float[K], the target's probabilities summed over rounds.
    logged : float[K], how often the log took each action.
    bins : float[2, B], count and sum of the clipped weights in bins of about 1 % width.
    """

    weights: Sums
    cubes: float
    rewards: FloatArray
    mass: FloatArray
    logged: FloatArray
    bins: FloatArray

    @classmethod
    def of(cls, rounds: Rounds, *, clip: float = math.inf) -> OverlapSums:
        """Summarise a log or a part of one."""
        weight = rounds.weight
        used = np.minimum(weight, clip)
        size = np.abs(rounds.reward)
        place = np.log2(np.maximum(used, SMALLEST)) - math.log2(SMALLEST)
        place = np.minimum(place * BINS_AN_OCTAVE, N_BINS - 1).astype(np.int64)
        counts = np.bincount(place, minlength=N_BINS).astype(np.float64)
        return cls(
            weights=Sums.of(beside(weight, used)),
            cubes=float((used**3).sum()),
            rewards=np.array([(size**2).sum(), (size**3).sum()]),
            mass=rounds.target.sum(axis=0),
            logged=np.bincount(rounds.action, minlength=rounds.n_actions).astype(np.float64),
            bins=np.stack([counts, np.bincount(place, weights=used, minlength=N_BINS)]),
        )

    def __add__(self, other: OverlapSums) -> OverlapSums:
        return OverlapSums(
            weights=self.weights + other.weights,
            cubes=self.cubes + other.cubes,
            rewards=self.rewards + other.rewards,
            mass=self.mass + other.mass,
            logged=self.logged + other.logged,
            bins=self.bins + other.bins,
        )

    def overlap(self, *, threshold: float = 0.001) -> Overlap:
        """The facts about all rounds behind these sums; `top1_weight_share` is exact to about 1 % of itself."""
        n, (mean, mean_used) = self.weights.n, (float(number) for number in self.weights.mean[0])
        total, squares = n * mean_used, self.weights.total_of_squares(1)
        mass = self.mass / n
        missing = np.flatnonzero((self.logged == 0) & (mass > threshold))
        return Overlap(
            n=n,
            effective_sample_size=kish(total, squares),
            effective_rewards=self._effective_rewards(squares),
            max_weight=float(self.weights.high[0, 1]),
            top1_weight_share=self._heaviest(math.ceil(n / 100)) / total if total > 0 else 0.0,
            clipped_share=max(1 - mean_used / mean, 0.0) if total > 0 else 0.0,
            mean_weight=mean,
            mean_weight_standard_error=math.sqrt(self.weights.variance_along(np.array([1.0, 0.0])) / n),
            unsupported_actions=tuple(int(action) for action in missing),
            unsupported_mass=float(mass[missing].sum()),
        )

    def _effective_rewards(self, squares: float) -> float:
        rewards, cubes = (float(number) for number in self.rewards)
        if not (self.cubes > 0 and cubes > 0):
            return 0.0
        # Each factor is n divided by the squared skewness of a sum of weights, or of rewards.
        return (squares**3 / self.cubes**2) * (rewards**3 / cubes**2) / self.weights.n

    def _heaviest(self, many: int) -> float:
        """The weight of the `many` heaviest rounds; a bin that is cut gives its mean for each."""
        count, total = self.bins[:, ::-1]
        above = np.concatenate([[0.0], count.cumsum()[:-1]])
        taken = np.clip(many - above, 0.0, count)
        return float((total * np.divide(taken, count, out=np.zeros_like(count), where=count > 0)).sum())
