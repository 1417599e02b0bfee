"""Boosted trees asked by columns give LightGBM's own sums, to the last bit."""

import lightgbm
import numpy as np
import pytest

from decision.errors import InvalidBundle
from experiments.behaviour.forest import forest_of


def trained(*, constant: bool = False, **settings: object) -> lightgbm.Booster:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(800, 4))
    y = np.ones(800) if constant else x[:, 0] * (x[:, 1] > 0.3) + 0.1 * rng.normal(size=800)
    usual = {"objective": "regression", "num_leaves": 6, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 10}
    return lightgbm.train(usual | settings, lightgbm.Dataset(x, y), num_boost_round=30)


@pytest.mark.parametrize("constant", [False, True])
def test_the_sums_are_lightgbms(constant: bool) -> None:
    booster = trained(constant=constant)
    forest = forest_of(booster.model_to_string())
    x = np.random.default_rng(2).normal(size=(500, 4)) * 2
    for f, known in enumerate(forest.thresholds):
        if len(known):
            x[:100, f] = np.random.default_rng(3).choice(known, 100)
    assert np.array_equal(forest.raw(x), booster.predict(x, raw_score=True, num_threads=1))
    assert len(forest.raw(x[:0])) == 0


def test_other_splits_are_refused() -> None:
    text = trained().model_to_string()
    with pytest.raises(InvalidBundle, match="without missing values"):
        forest_of(text.replace("decision_type=2", "decision_type=10"))
