"""Intervals cover the truth as often as they say, over many simulated logs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from experiments.off_policy import ESTIMATORS, Rounds, contrast

REPLICATES = 1_500
# 1,500 replicates have a Monte-Carlo error of 0.6 points at 95 %: 2 points are more than three of them.
AROUND_95 = (0.93, 0.97)


UNBIASED = ("ips", "snips", "dr", "sndr", "controlled_ips", "controlled_dr")


@pytest.mark.parametrize("name", ["dm", *UNBIASED])
def test_95_percent_intervals_cover_95_percent(name: str, population: Any) -> None:
    # dm's interval is about customers only, so it can cover only when its model is the truth.
    people = replace(population, model=population.expected) if name == "dm" else population
    covered = 0
    for seed in range(REPLICATES):
        found = ESTIMATORS[name].estimate(people.log(500, seed=seed))
        covered += found.low <= people.truth <= found.high
    assert AROUND_95[0] <= covered / REPLICATES <= AROUND_95[1]


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr"])
def test_paired_intervals_cover_the_gain(name: str, population: Any) -> None:
    gain = population.truth - float(population.expected.mean())
    covered = above = 0
    for seed in range(REPLICATES):
        log = population.log(500, seed=10_000 + seed)
        found = contrast(log, np.full_like(log.target, 0.25), estimator=ESTIMATORS[name])
        covered += found.low <= gain <= found.high
        above += found.lower_bound > gain
    assert AROUND_95[0] <= covered / REPLICATES <= AROUND_95[1]
    # Weights are skewed to the right, which at n = 500 makes a lower bound a little too careful, never too bold.
    assert 0.02 <= above / REPLICATES <= 0.065


def test_clustered_intervals_cover_when_customers_come_again() -> None:
    """Each customer has her own taste and four rounds; plain intervals are too narrow, clustered ones not."""
    rng = np.random.default_rng(8)
    plain = clustered = 0
    for _ in range(REPLICATES):
        customer = np.repeat(np.arange(100), 4)
        action = rng.integers(2, size=400)
        taste = np.repeat(rng.normal(size=100), 4)
        reward = taste * (2 * action - 1) + rng.normal(size=400)
        target = np.tile([0.0, 1.0], (400, 1))
        log = Rounds(action, reward, np.full(400, 0.5), target)
        alone = contrast(log, 1 - target, estimator=ESTIMATORS["snips"])
        together = contrast(log, 1 - target, estimator=ESTIMATORS["snips"], cluster=customer)
        plain += alone.low <= 0 <= alone.high
        clustered += together.low <= 0 <= together.high
    assert plain / REPLICATES < 0.90
    assert AROUND_95[0] <= clustered / REPLICATES <= AROUND_95[1]
