"""How often 95 % intervals hold the truth, from uniform to near-greedy loggers."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from decision.records import FloatArray
from experiments.bench.off_policy_world import World
from experiments.off_policy import ESTIMATORS, doubts, overlap

UNBIASED = ("ips", "snips", "dr", "sndr", "controlled_ips", "controlled_dr")
CAREFUL, STUDENT = "careful", "asymptotic"
KINDS = (CAREFUL, STUDENT, "skewness_corrected", "empirical_bernstein")


class Covered(msgspec.Struct, frozen=True):
    """One setting: shares of replicates in which an interval holds the truth, by estimator and kind of interval.

    `answered` counts only replicates that the gate's rules on overlap don't refuse; NaN where all are refused.
    """

    n: int
    logger: str
    target: str
    replicates: int
    refused: float
    all: dict[str, dict[str, float]]
    answered: dict[str, float]


def loggers(world: World, values: FloatArray) -> dict[str, FloatArray]:
    """Return policies that might have written the log, from uniform to near-greedy."""
    power = np.exp((values - values.max(axis=1, keepdims=True)) / 0.02)
    return {
        "uniform": np.full(values.shape, 1 / world.n_actions),
        "softmax": power / power.sum(axis=1, keepdims=True),
        "greedy, floor 0.02": world.greedy(values, floor=0.02),
        "greedy, floor 0.005": world.greedy(values, floor=0.005),
        "greedy, floor 0.001": world.greedy(values, floor=0.001),
    }


def coverage(*, sizes: dict[int, int], seed: int) -> Iterator[Covered]:
    """Yield every setting; `sizes` gives the replicates for each number of rounds."""
    world = World.of(n_actions=10, seed=seed)
    champion, challenger = world.noisy(noise=1.0, seed=seed + 1), world.noisy(noise=0.5, seed=seed + 2)
    another = world.greedy(challenger, floor=0.005)
    targets = {"another": another, "a fifth another": 0.8 * world.greedy(champion, floor=0.005) + 0.2 * another}
    for n, replicates in sizes.items():
        for logger, logging in loggers(world, champion).items():
            for name, target in targets.items():
                yield _setting(world, (logger, logging), (name, target), n=n, replicates=replicates)


def _setting(
    world: World, logger: tuple[str, FloatArray], target: tuple[str, FloatArray], *, n: int, replicates: int
) -> Covered:
    truth = world.worth(target[1])
    held = {name: {kind: np.zeros(replicates, dtype=bool) for kind in KINDS} for name in UNBIASED}
    refused = np.zeros(replicates, dtype=bool)
    for i in range(replicates):
        rounds, _ = world.log(logger[1], target[1], n=n, seed=1_000 + i)
        refused[i] = bool(doubts(overlap(rounds)))
        for name, by_kind in held.items():
            sums = ESTIMATORS[name].sums(rounds)
            for kind, column in by_kind.items():
                found = ESTIMATORS[name].from_sums(sums, interval=kind)
                column[i] = found.low <= truth <= found.high
    answered = ~refused
    return Covered(
        n=n,
        logger=logger[0],
        target=target[0],
        replicates=replicates,
        refused=float(refused.mean()),
        all={name: {kind: float(column.mean()) for kind, column in by_kind.items()} for name, by_kind in held.items()},
        answered={
            name: float(by_kind[CAREFUL][answered].mean()) if answered.any() else float("nan")
            for name, by_kind in held.items()
        },
    )
