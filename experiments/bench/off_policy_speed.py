"""Speed and memory: beside the peer on 100,000 rounds, and alone on ten million."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial, reduce
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import msgspec
import numpy as np

from experiments.bench.off_policy_cases import found_for, relative_error
from experiments.bench.off_policy_peer import Peer
from experiments.off_policy import ESTIMATORS, Estimator, Evidence, Rounds, bootstrap, judge_stream
from experiments.off_policy.stream import Totals

T = TypeVar("T")
ACTIONS = 20
CHUNK = 50_000
REPLICATES = 96


class Speed(msgspec.Struct, frozen=True):
    """CPU seconds to value all of the peer's estimators on one log, and to put bootstrap intervals around them.

    `alone` has each estimator's by itself, ours and the peer's; arrays are read and checked for each anew.
    """

    rounds: int
    estimators: int
    ours_seconds: float
    peer_seconds: float
    alone: dict[str, tuple[float, float]]
    ours_bootstrap_seconds: float
    peer_bootstrap_seconds: float
    largest_error: float


class Memory(msgspec.Struct, frozen=True):
    """A log in chunks: its size, seconds to make it, seconds to value and judge it, and the process's peak in MiB."""

    rounds: int
    actions: int
    estimators: int
    making_seconds: float
    valuing_seconds: float
    before_mib: float
    peak_mib: float
    values: dict[str, float]
    customers: int


def a_log(n: int, rng: np.random.Generator) -> Rounds:
    """Return n rounds with 20 actions, a near-greedy logger, and rare purchases."""
    floor = 0.01
    best, wanted = rng.integers(ACTIONS, size=(2, n))
    explored = rng.random(n) < floor * ACTIONS
    action = np.where(explored, rng.integers(ACTIONS, size=n), best)
    propensity = floor + (1 - ACTIONS * floor) * (action == best)
    target = np.full((n, ACTIONS), floor)
    target[np.arange(n), wanted] += 1 - ACTIONS * floor
    q_hat = rng.random((n, ACTIONS)) * 4
    reward = 40.0 * (rng.random(n) < 0.05 + 0.05 * (action == wanted))
    return Rounds(action, reward, propensity, target, q_hat)


def speed(peer: Peer, folder: Path, *, n: int, repeats: int, seed: int) -> Speed:
    """Return how long both take for the same estimators on the same log, one after the other in one run.

    Ours reads and checks the arrays anew each time, as the peer does for each estimator.
    """
    log = a_log(n, np.random.default_rng(seed))
    theirs = peer.run(log, folder, repeats=repeats, replicates=REPLICATES)
    estimators = found_for(theirs)

    def fresh() -> Rounds:
        return Rounds(log.action, log.reward, log.propensity, log.target, log.q_hat)

    def all_values() -> dict[str, float]:
        rounds = fresh()
        return {name: estimator.estimate(rounds).value for name, estimator in estimators.items()}

    values, ours = timed(all_values, repeats)
    alone = {name: timed(partial(_by_itself, estimator, fresh), repeats)[1] for name, estimator in estimators.items()}
    _, resampled = timed(lambda: bootstrap(estimators, fresh(), seed=1, replicates=REPLICATES), max(repeats // 3, 1))
    return Speed(
        rounds=n,
        estimators=len(estimators),
        ours_seconds=ours,
        peer_seconds=sum(found["seconds"] for found in theirs.values()),
        alone={name: (seconds, theirs[name]["seconds"]) for name, seconds in alone.items()},
        ours_bootstrap_seconds=resampled,
        peer_bootstrap_seconds=sum(found["interval_seconds"] for found in theirs.values()),
        largest_error=max(relative_error(values[name], found["value"]) for name, found in theirs.items()),
    )


def _by_itself(estimator: Estimator, fresh: Callable[[], Rounds]) -> float:
    return estimator.estimate(fresh()).value


def timed(call: Callable[[], T], repeats: int) -> tuple[T, float]:
    """Return what a call answers, and the median of its CPU seconds: others on the machine don't count."""
    took = []
    for _ in range(repeats):
        begun = time.process_time()
        answer = call()
        took.append(time.process_time() - begun)
    return answer, median(took)


def memory(n: int, seed: int) -> Memory:
    """Return what it takes to value n rounds in chunks by all estimators and judge them; needs its own process."""
    rng = np.random.default_rng(seed)
    making = 0.0

    def chunks() -> Iterator[Rounds]:
        nonlocal making
        for first in range(0, n, CHUNK):
            begun = time.perf_counter()
            part = a_log(min(CHUNK, n - first), rng)
            making += time.perf_counter() - begun
            yield part

    before, begun = peak_mib(), time.perf_counter()
    pairs = ((Totals.of(part, ESTIMATORS), _evidence(part, rng)) for part in chunks())
    summed, proof = reduce(lambda one, other: (one[0] + other[0], one[1] + other[1]), pairs)
    found = summed.estimates(ESTIMATORS)
    verdict = judge_stream([proof], in_sample=False)
    return Memory(
        rounds=n,
        actions=ACTIONS,
        estimators=len(ESTIMATORS),
        making_seconds=making,
        valuing_seconds=time.perf_counter() - begun - making,
        before_mib=before,
        peak_mib=peak_mib(),
        values={name: estimate.value for name, estimate in found.items()},
        customers=verdict.contrast.clusters,
    )


def _evidence(part: Rounds, rng: np.random.Generator) -> Evidence:
    """Return what a part says beside a uniform champion, of a million customers."""
    uniform = np.full(part.target.shape, 1 / part.n_actions)
    return Evidence.of(part, uniform, cluster=rng.integers(1_000_000, size=len(part)))


def peak_mib() -> float:
    """Return the most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # Of this program alone: what getrusage says is at least what the parent held when it forked.
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def main(arguments: list[str]) -> Any:
    """Measure memory for the number of rounds given, and print it as JSON."""
    print(msgspec.json.encode(memory(int(arguments[0]), seed=1)).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
