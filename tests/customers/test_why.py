"""Reasons by hand: what a fact adds to the log-odds, against the middle customer, and the words for it."""

from dataclasses import replace

import numpy as np
import pytest

from experiments.behaviour.columns import ALL, Hinges, fit_hinges
from experiments.behaviour.habit import Habit
from experiments.behaviour.hazard import Linear, Trees
from experiments.behaviour.repurchase import Repurchase
from experiments.behaviour.season import Season
from experiments.behaviour.state import State
from experiments.behaviour.why import REASONS, effects, middle_of, reasons

N = len(ALL)


def model(**weights: float) -> Repurchase:
    """A hazard that is straight in facts as they are; weights by f0, f1, …"""
    of = np.zeros(N)
    for name, weight in weights.items():
        of[int(name[1:])] = weight
    linear = Linear(Hinges(np.arange(N), np.zeros(N), np.ones(N), np.zeros((N, 0))), 0.0, of, Season())
    habit, none = Habit(1.0, 10.0, 1.0, 1.0, Season()), Trees(np.arange(N), 0.0, Season(), "")
    return Repurchase(habit, habit, linear, linear, none, none, 365)


def state(silence: list[float]) -> State:
    n = len(silence)
    one = np.ones(n)
    return State(
        0, np.arange(n), 2 * one, np.array(silence), np.array(silence) + 30, *(50.0 * one,) * 3, *(0 * one,) * 3, 30.0
    )


def test_effects_are_against_the_middle_customer() -> None:
    customers = state([10.0, 20.0, 80.0])
    found = effects(model(f0=-1.0), customers, middle_of(model(f0=-1.0), customers))
    assert found[:, 0].tolist() == pytest.approx([np.log(2), 0.0, -np.log(4)])
    assert not found[:, 1:].any()


def test_the_strongest_are_said_in_words_and_the_weak_are_not() -> None:
    told = reasons(model(f0=-1.0), state([10.0, 20.0, 80.0])).to_pylist()
    assert told == [
        "last bought 10 days ago, 0.3 times her usual gap: odds of a purchase × 2",
        "",
        "last bought 80 days ago, 2.7 times her usual gap: odds of a purchase × 0.25",
    ]
    once = replace(state([10.0, 20.0, 80.0]), purchases=np.ones(3))
    assert reasons(model(f0=-1.0), once).to_pylist()[0] == "last bought 10 days ago: odds of a purchase × 2"


def test_silence_and_her_own_gap_are_weighed_together() -> None:
    """Both say that she is late; a model that splits it into a plus and a minus must not be told as two reasons."""
    told = reasons(model(f0=2.0, f7=-3.0), state([10.0, 20.0, 80.0])).to_pylist()
    assert told[2] == "last bought 80 days ago, 2.7 times her usual gap: odds of a purchase × 0.25"


def test_facts_that_say_the_same_are_one_reason() -> None:
    customers = replace(state([10.0, 20.0, 80.0]), recently=np.array([0.0, 1.0, 3.0]), lately=np.array([0.0, 1.0, 3.0]))
    (line, _, _) = reasons(model(f5=1.0, f6=1.0), customers).to_pylist()
    assert line == "has bought little in recent months: odds of a purchase × 0.25"
    assert reasons(model(), state([])).to_pylist() == []
    assert sorted(place for places, *_ in REASONS for place in places) == list(ALL)


def test_hinges_are_weighed_as_their_columns_are() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(200, N))
    hinges = fit_hinges(x, (0, 8, 4))
    weights = rng.normal(size=15)
    assert hinges.weighed(x, weights) == pytest.approx(hinges.columns(x) @ weights, abs=1e-12)
