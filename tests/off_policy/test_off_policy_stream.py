"""A log in chunks, from wherever it comes, gives what it gives in one piece."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decision.errors import InvalidInput, NotEnoughData
from decision.records import Decision
from experiments.off_policy import ESTIMATORS, INTERVALS, Estimate, Rounds, overlap
from experiments.off_policy.overlap import Overlap
from experiments.off_policy.sources import LogColumns, rounds_from_frame, rounds_from_ledger, rounds_from_parquet
from experiments.off_policy.stream import Totals, total, total_resamples
from tests import trials

CHUNK = 70
ALIKE = {"rel": 1e-12, "abs": 1e-13}


def same(found: Estimate | Overlap, whole: Estimate | Overlap) -> None:
    for field in fields(whole):
        assert getattr(found, field.name) == pytest.approx(getattr(whole, field.name), **ALIKE), field.name


def as_frame(rounds: Rounds) -> pd.DataFrame:
    frame = pd.DataFrame({"action": rounds.action, "reward": rounds.reward, "propensity": rounds.propensity})
    for name, table in (("target", rounds.target), ("q_hat", rounds.q_hat)):
        for k in range(rounds.n_actions):
            frame[f"{name}.{k}"] = table[:, k]
    return frame


def as_lists(rounds: Rounds) -> pd.DataFrame:
    frame = pd.DataFrame({"action": rounds.action, "reward": rounds.reward, "propensity": rounds.propensity})
    return frame.assign(target=list(rounds.target), q_hat=list(rounds.q_hat))


@pytest.fixture(params=["frame", "frame of lists", "parquet", "parquet of lists"])
def chunks(request: pytest.FixtureRequest, rounds: Rounds, tmp_path: Path) -> Iterator[Rounds]:
    frame = as_lists(rounds) if request.param.endswith("lists") else as_frame(rounds)
    if request.param.startswith("frame"):
        return rounds_from_frame(frame, chunk=CHUNK)
    frame.to_parquet(tmp_path / "log.parquet")
    return rounds_from_parquet(tmp_path / "log.parquet", chunk=CHUNK)


def test_every_estimator_and_interval_is_the_same_in_chunks(chunks: Iterator[Rounds], rounds: Rounds) -> None:
    found = total(chunks, ESTIMATORS)
    for interval in INTERVALS:
        for name, estimate in found.estimates(ESTIMATORS, interval=interval).items():
            same(estimate, ESTIMATORS[name].estimate(rounds, interval=interval))
    same(found.overlap.overlap(), overlap(rounds))


def test_the_order_of_merging_does_not_matter(rounds: Rounds) -> None:
    a, b, c = (Totals.of(rounds.take(np.arange(i, 300, 3)), ESTIMATORS) for i in range(3))
    left, right = ((a + b) + c).estimates(ESTIMATORS), (a + (b + c)).estimates(ESTIMATORS)
    for name in ESTIMATORS:
        same(left[name], right[name])


def test_resamples_do_not_depend_on_the_chunks(chunks: Iterator[Rounds], rounds: Rounds) -> None:
    estimator = ESTIMATORS["snips"].settled(rounds)
    parts = total_resamples(chunks, estimator, seed=4, replicates=64)
    whole = total_resamples([rounds], estimator, seed=4, replicates=64)
    assert parts.totals == pytest.approx(whole.totals, rel=1e-12)
    assert (parts.appearances == whole.appearances).all()


def test_the_ledger_in_chunks_is_the_ledger_in_one_piece(tmp_path: Path) -> None:
    past = trials.past(400)
    ledger = trials.home(tmp_path / "home", past.rows).ledger()

    def keener(decision: Decision, allowed: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        gold = decision.context["tier"] == "gold"
        return np.array([0.2, 0.6, 0.2] if gold else [0.6, 0.2, 0.2]), np.full(len(allowed), 3.0)

    (whole,) = rounds_from_ledger(ledger.rewarded(), keener, catalogue=trials.ACTIONS)
    in_chunks = total(rounds_from_ledger(ledger.rewarded(), keener, catalogue=trials.ACTIONS, chunk=90), ESTIMATORS)
    assert len(whole) == 400
    assert whole.propensity == pytest.approx(1 / 3)
    for name, estimate in in_chunks.estimates(ESTIMATORS).items():
        same(estimate, ESTIMATORS[name].estimate(whole))
    # Without the dearest action the other two share its probability.
    (fewer,) = rounds_from_ledger(
        ledger.rewarded(), lambda d, a: (np.array([0.5, 0.5]), None), catalogue=trials.ACTIONS[:2]
    )
    assert fewer.propensity == pytest.approx(0.5)
    assert fewer.q_hat is None


def test_a_table_without_the_columns_is_refused(rounds: Rounds) -> None:
    frame = as_frame(rounds).rename(columns={"reward": "money"})
    with pytest.raises(InvalidInput, match="found none for reward"):
        next(rounds_from_frame(frame))
    assert next(rounds_from_frame(frame, columns=LogColumns(reward="money"))).reward.sum() == rounds.reward.sum()


def test_no_chunk_is_no_log() -> None:
    with pytest.raises(NotEnoughData, match="Expected logged rounds, found none"):
        total([], ESTIMATORS)
    with pytest.raises(NotEnoughData, match="Expected logged rounds, found none"):
        total_resamples([], ESTIMATORS["ips"], seed=1)  # type: ignore[arg-type]


def test_totals_of_other_estimators_do_not_add(rounds: Rounds) -> None:
    with pytest.raises(InvalidInput, match="same estimators"):
        Totals.of(rounds, ESTIMATORS) + Totals.of(rounds, {"ips": ESTIMATORS["ips"]})
    with pytest.raises(InvalidInput, match="one and the same estimator"):
        ESTIMATORS["ips"].sums(rounds) + ESTIMATORS["sndr"].sums(rounds)
