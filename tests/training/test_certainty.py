"""How many customers the model is sure of: more where effects are planted, few where there are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decision.programme.model import Programme
from experiments.certainty import Certainty, certainty
from experiments.challenger import Settings, build_challenger
from experiments.dataset import Dataset
from experiments.learners import LEARNERS
from tests import trials

FAST = {name: LEARNERS[name] for name in ("constant", "pooled_sparse")}


def found(data: Dataset, shop: Programme) -> Certainty:
    built = build_challenger(data, shop, Settings(1, 3, 1), now=trials.NOW, learners=FAST)
    sure = certainty(data, built, shop, seed=1)
    assert sure is not None
    return sure


def test_planted_effects_are_seen_and_their_absence_too(data: Dataset, shop: Programme) -> None:
    seen = found(data, shop)
    assert seen.above > 0.5
    shuffled = np.random.default_rng(1).permutation(len(data))
    nothing = replace(
        data,
        repurchased=data.repurchased[shuffled],
        visited=data.visited[shuffled],
        redeemed=np.zeros(len(data)),
        revenue=data.revenue[shuffled],
        value=data.value[shuffled],
    )
    assert found(nothing, shop).above < 0.2


def test_the_sentence_gives_shares_that_add_up() -> None:
    sure = Certainty(0.42, 0.08, 1_000)
    assert "1,000 decisions" in sure.sentence
    for share in ("more than control for 42 %", "less for 8 %", "for 50 % the model can't tell"):
        assert share in sure.sentence
    assert sure.metrics() == pytest.approx({"share_clear_of_control": 0.42, "share_clear_below_control": 0.08})
