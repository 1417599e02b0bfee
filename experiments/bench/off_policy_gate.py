"""How often the gate promotes: falsely without a gain, and rightly the larger the gain."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from decision.errors import InvalidInput
from decision.records import FloatArray
from experiments.bench.off_policy_world import World
from experiments.off_policy import judge

GAINS = (-0.1, 0.0, 0.05, 0.1, 0.2, 0.3)


class Promoted(msgspec.Struct, frozen=True):
    """One setting: shares of replicates that were promoted, and whose lower bound alone was above 0."""

    n: int
    floor: float
    gain: float
    replicates: int
    promoted: float
    bound_above: float
    reasons: dict[str, float]


def gate(*, sizes: dict[int, int], seed: int) -> Iterator[Promoted]:
    """Yield every setting; `sizes` gives the replicates without a gain, with one there are a third as many."""
    world = World.of(n_actions=5, seed=seed)
    seen, better = world.noisy(noise=20.0, seed=seed + 1), world.chance
    for floor in (0.02, 0.002):
        champion = world.greedy(seen, floor=floor)
        for n, replicates in sizes.items():
            for gain in GAINS:
                challenger = worth_more(world, champion, world.greedy(better, floor=floor), gain, floor=floor)
                times = replicates if gain <= 0 else replicates // 3
                yield _setting(world, champion, challenger, n=n, floor=floor, gain=gain, replicates=times)


def worth_more(world: World, champion: FloatArray, better: FloatArray, gain: float, *, floor: float) -> FloatArray:
    """Return a policy worth (1 + gain) times the champion, which does otherwise for most customers.

    Each customer gets the better policy or the worst one, by lot; what is missing to the exact worth is mixed in.

    Raises
    ------
    InvalidInput : no policy is worth so much.
    """
    aim = (1 + gain) * world.worth(champion)
    if aim > world.worth(better):
        raise InvalidInput(f"A gain of {gain:.0%} is more than the better policy has.", hint="Ask for less.")
    worst = world.greedy(-world.chance, floor=floor)
    share = (aim - world.worth(worst)) / (world.worth(better) - world.worth(worst))
    lucky = np.random.default_rng(7).random(len(better)) < share
    mixed = np.where(lucky[:, None], better, worst)
    other = better if world.worth(mixed) < aim else worst
    gap = world.worth(other) - world.worth(mixed)
    rest = (aim - world.worth(mixed)) / gap if gap else 0.0
    policy: FloatArray = rest * other + (1 - rest) * mixed
    return policy


def _setting(
    world: World, champion: FloatArray, challenger: FloatArray, *, n: int, floor: float, gain: float, replicates: int
) -> Promoted:
    verdicts = []
    for i in range(replicates):
        rounds, who = world.log(champion, challenger, n=n, seed=5_000 + i)
        verdicts.append(judge(rounds, champion[who], in_sample=False))
    codes = [code for verdict in verdicts for code in verdict.reasons]
    return Promoted(
        n=n,
        floor=floor,
        gain=gain,
        replicates=replicates,
        promoted=float(np.mean([verdict.promote for verdict in verdicts])),
        bound_above=float(np.mean([verdict.contrast.lower_bound > 0 for verdict in verdicts])),
        reasons={str(code): codes.count(code) / replicates for code in sorted(set(codes))},
    )
