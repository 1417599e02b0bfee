"""Values policies on logs that don't fit into memory: chunk by chunk, each chunk's sums added to the last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

from decision.errors import InvalidInput, NotEnoughData
from experiments.off_policy.bootstrap import Resamples
from experiments.off_policy.estimate import Estimate
from experiments.off_policy.estimator import Estimator, SmoothOfMeans
from experiments.off_policy.overlap import OverlapSums
from experiments.off_policy.rounds import Rounds
from experiments.off_policy.sums import Sums


@dataclass(frozen=True, eq=False)
class Totals:
    """Every estimator's sums and the overlap's; those of two parts of a log add."""

    sums: Mapping[str, Sums]
    overlap: OverlapSums

    @classmethod
    def of(cls, rounds: Rounds, estimators: Mapping[str, Estimator]) -> Totals:
        """Summarise a log or a part of one."""
        return cls({name: estimator.sums(rounds) for name, estimator in estimators.items()}, OverlapSums.of(rounds))

    def __add__(self, other: Totals) -> Totals:
        if self.sums.keys() != other.sums.keys():
            raise InvalidInput("Totals that merge have the same estimators, found others.")
        return Totals({name: one + other.sums[name] for name, one in self.sums.items()}, self.overlap + other.overlap)

    def estimates(
        self, estimators: Mapping[str, Estimator], *, level: float = 0.95, interval: str = "careful"
    ) -> dict[str, Estimate]:
        """What the same estimators would answer for all the rounds in one piece."""
        return {
            name: estimators[name].from_sums(sums, level=level, interval=interval) for name, sums in self.sums.items()
        }


def total(chunks: Iterable[Rounds], estimators: Mapping[str, Estimator]) -> Totals:
    """Add up a log's chunks, holding one of them in memory at a time.

    Raises
    ------
    NotEnoughData : there is no chunk.
    """
    parts = (Totals.of(chunk, estimators) for chunk in chunks)
    try:
        return reduce(add, parts, next(parts))
    except StopIteration:
        raise NotEnoughData("Expected logged rounds, found none.", hint="Look at what selects them.") from None


def total_resamples(
    chunks: Iterable[Rounds], estimator: SmoothOfMeans, *, seed: int, replicates: int = 400
) -> Resamples:
    """Add up a log's bootstrap resamples; the same whatever the chunks.

    Raises
    ------
    InvalidInput : replicates is not a multiple of 16.
    NotEnoughData : there is no chunk.
    """
    found, start = None, 0
    for chunk in chunks:
        part = Resamples.of(estimator.columns(chunk), seed=seed, replicates=replicates, start=start)
        found, start = part if found is None else found + part, start + len(chunk)
    if found is None:
        raise NotEnoughData("Expected logged rounds, found none.", hint="Look at what selects them.")
    return found
