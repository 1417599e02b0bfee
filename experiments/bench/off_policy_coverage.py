"""How often 95 % intervals hold the truth, from uniform to near-greedy loggers, in several kinds of shops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from decision.records import FloatArray
from experiments.bench.off_policy_world import Shop, World
from experiments.off_policy import ESTIMATORS, doubts, overlap

UNBIASED = ("ips", "snips", "dr", "sndr", "controlled_ips", "controlled_dr")
CAREFUL, STUDENT = "careful", "asymptotic"
KINDS = (CAREFUL, STUDENT, "skewness_corrected", "empirical_bernstein")


class Covered(msgspec.Struct, frozen=True):
    """One setting: shares of replicates in which an interval holds the truth, by estimator and kind of interval.

    `answered` counts only replicates that the gate's rules on overlap don't refuse; NaN where all are refused.
    """

    shop: str
    n: int
    logger: str
    target: str
    replicates: int
    refused: float
    all: dict[str, dict[str, float]]
    answered: dict[str, float]


SHOPS = {
    "usual": Shop(10),
    "2 actions": Shop(2),
    "50 actions": Shop(50),
    "rare purchases": Shop(10, most=0.02),
    "heavy baskets": Shop(10, tail=1.0),
    "some allowed": Shop(10, allowed=0.5),
}
HARD = ("uniform", "greedy, floor 0.005")


def loggers(world: World, values: FloatArray) -> dict[str, FloatArray]:
    """Return policies that might have written the log, from uniform to near-greedy."""
    return {
        "uniform": world.uniform(),
        "softmax": world.softmax(values, temperature=0.02),
        "greedy, floor 0.02": world.greedy(values, floor=0.02),
        "greedy, floor 0.005": world.greedy(values, floor=0.005),
        "greedy, floor 0.001": world.greedy(values, floor=0.001),
    }


def coverage(*, sizes: dict[int, int], seed: int) -> Iterator[Covered]:
    """Yield every setting; `sizes` gives the replicates for each number of rounds.

    The usual shop has all loggers and two targets, the others two loggers.
    """
    for shop, kind in SHOPS.items():
        world = World.of(kind, seed=seed)
        champion, challenger = world.noisy(noise=1.0, seed=seed + 1), world.noisy(noise=0.5, seed=seed + 2)
        another = world.greedy(challenger, floor=0.005)
        targets = {"another": another, "a fifth another": 0.8 * world.greedy(champion, floor=0.005) + 0.2 * another}
        for n, replicates in sizes.items():
            for logger, logging in loggers(world, champion).items():
                for name, target in targets.items():
                    if shop == "usual" or logger in HARD:
                        case = Case(shop, logger, name, n, replicates)
                        yield _setting(world, logging, target, case)


@dataclass(frozen=True, slots=True)
class Case:
    """What is simulated: the shop, the policy that logs, the one that is valued, rounds, replicates."""

    shop: str
    logger: str
    target: str
    n: int
    replicates: int


def _setting(world: World, logging: FloatArray, target: FloatArray, case: Case) -> Covered:
    truth, replicates = world.worth(target), case.replicates
    held = {name: {kind: np.zeros(replicates, dtype=bool) for kind in KINDS} for name in UNBIASED}
    refused = np.zeros(replicates, dtype=bool)
    for i in range(replicates):
        rounds, _ = world.log(logging, target, n=case.n, seed=1_000 + i)
        refused[i] = bool(doubts(overlap(rounds)))
        for name, by_kind in held.items():
            sums = ESTIMATORS[name].sums(rounds)
            for kind, column in by_kind.items():
                found = ESTIMATORS[name].from_sums(sums, interval=kind)
                column[i] = found.low <= truth <= found.high
    answered = ~refused
    return Covered(
        shop=case.shop,
        n=case.n,
        logger=case.logger,
        target=case.target,
        replicates=replicates,
        refused=float(refused.mean()),
        all={name: {kind: float(column.mean()) for kind, column in by_kind.items()} for name, by_kind in held.items()},
        answered={
            name: float(by_kind[CAREFUL][answered].mean()) if answered.any() else float("nan")
            for name, by_kind in held.items()
        },
    )
