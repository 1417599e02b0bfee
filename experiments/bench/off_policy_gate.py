"""How often the gate promotes: falsely without a gain, and rightly the larger the gain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from scipy.special import ndtr, ndtri

from decision.errors import InvalidInput
from decision.records import FloatArray
from experiments.bench.off_policy_world import BASKET, Shop, World
from experiments.off_policy import GateRules, judge

GAINS = (-0.1, 0.0, 0.05, 0.1, 0.2, 0.3)


class Promoted(msgspec.Struct, frozen=True):
    """One setting: shares of replicates that were promoted, and whose lower bound alone was above 0.

    `possible` is how often a test of the gate's level that knew the true expected rewards would find the gain, with
    the smallest standard error that an estimator without bias can have.
    """

    kind: str
    n: int
    floor: float
    gain: float
    replicates: int
    promoted: float
    bound_above: float
    possible: float
    reasons: dict[str, float]


def gate(*, sizes: dict[int, int], seed: int) -> Iterator[Promoted]:
    """Yield every setting; `sizes` gives the replicates without a gain, with one there are a third as many.

    One challenger without a gain is greedy on the very reward model that judges it, and shares its mistakes.
    """
    world = World.of(Shop(5), seed=seed)
    seen, better = world.noisy(noise=20.0, seed=seed + 1), world.chance
    mistaken = replace(world, model=BASKET * world.noisy(noise=2.0, seed=seed + 3))
    for floor in (0.02, 0.005):
        champion = world.greedy(seen, floor=floor)
        for n, replicates in sizes.items():
            for gain in GAINS:
                challenger = worth_more(world, champion, world.greedy(better, floor=floor), gain, floor=floor)
                times = replicates if gain <= 0 else replicates // 3
                case = Case("other", n, floor, gain, times)
                yield _setting(world, champion, challenger, case)
            fond = mistaken.greedy(mistaken.model, floor=floor)
            its_equal = worth_more(world, fond, world.greedy(better, floor=floor), 0.0, floor=floor)
            yield _setting(mistaken, its_equal, fond, Case("fond of the model", n, floor, 0.0, replicates))


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


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated: the kind of challenger, rounds, exploration floor, true gain, replicates."""

    kind: str
    n: int
    floor: float
    gain: float
    replicates: int


def _setting(world: World, champion: FloatArray, challenger: FloatArray, case: Case) -> Promoted:
    verdicts = []
    for i in range(case.replicates):
        rounds, who = world.log(champion, challenger, n=case.n, seed=5_000 + i)
        verdicts.append(judge(rounds, champion[who], in_sample=False))
    codes = [code for verdict in verdicts for code in verdict.reasons]
    return Promoted(
        kind=case.kind,
        n=case.n,
        floor=case.floor,
        gain=case.gain,
        replicates=case.replicates,
        promoted=float(np.mean([verdict.promote for verdict in verdicts])),
        bound_above=float(np.mean([verdict.contrast.lower_bound > 0 for verdict in verdicts])),
        possible=possible(world, champion, challenger, n=case.n),
        reasons={str(code): codes.count(code) / case.replicates for code in sorted(set(codes))},
    )


def possible(world: World, champion: FloatArray, challenger: FloatArray, *, n: int) -> float:
    """Return the chance that the gain shows in n rounds that the champion logged, if nothing but chance hides it."""
    gain = world.worth(challenger) - world.worth(champion)
    error = world.least_error(champion, challenger, champion, n=n)
    return float(ndtr(gain / error - ndtri(GateRules().level)))
