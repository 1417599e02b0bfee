"""Logged propensities are right where it counts: in the loop, with a trained policy and real guardrails.

Frequencies are held against the logged distribution, and importance weights against the truth, which only a
simulated shop knows. The exploration floor is 0.02 here, so that rare actions are seen often enough to judge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from scipy.stats import chi2, chisquare

from decision.flow.decide import Proposal, propose
from decision.money import MICROS
from decision.records import CONTROL, Decision, FloatArray, Group
from decision.serving import Serving
from decision.stages.rewards import reward_of
from experiments.off_policy import ESTIMATORS, Estimate, Rounds
from experiments.shop.arrival import Arrival
from experiments.simulate import Loop, Plan

PLAN = Plan(seeds=(7,), customers=8_000, trial_days=30, days=0, learners=("pooled_sparse",))
FLOOR = 0.02
SITUATIONS, ASKED = 12, 400
DAYS = 22


@dataclass(frozen=True)
class Served:
    """A loop after training, and what its policy group was given over some days."""

    loop: Loop
    serving: Serving
    day: int


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("loop")
    loop = Loop(PLAN.seeds[0], PLAN, folder)
    loop.days.trial(PLAN.trial_days)
    loop.train()
    yield Served(loop, Serving(replace(loop.programme, exploration_floor=FLOOR), loop.champion), loop.first_day)
    loop.days.ledger.close()  # type: ignore[attr-defined]


def again(served: Served, arrival: Arrival, number: int) -> Proposal:
    """Ask about the same customer, order and moment under a fresh id; nothing is written."""
    ledger, request = served.loop.days.ledger, served.loop.days.shop.request(arrival)
    fresh = structs.replace(request, decision_id=f"{request.decision_id}-again-{number}")
    customer = ledger.customer(request.customer_id)
    return propose(fresh, customer, serving=served.serving, ledger=ledger, now=arrival.at)


def test_frequencies_match_what_is_logged_for_the_customers_of_a_day(served: Served) -> None:
    """Ids are fixed, so this always passes or never does; 0.001 is the line for the p-value of all together."""
    days = served.loop.days
    today = days.shop.arrivals(served.day)
    policy = [a for a in today if again(served, a, 0).decision.group is Group.POLICY][:SITUATIONS]
    asked = {a.decision_id: [again(served, a, i).decision for i in range(ASKED)] for a in policy}
    _, decisions = days.decide(served.day, served.serving)
    written = {d.decision_id: d for d in decisions if d.decision_id in asked}
    assert len(written) == SITUATIONS
    statistic, freedom = 0.0, 0
    for decision_id, logged in written.items():
        chances = np.array(logged.distribution)
        assert logged.propensity == chances[logged.allowed.index(logged.action_id)]
        assert chances.min() >= FLOOR
        for other in asked[decision_id]:
            assert (other.allowed, other.distribution) == (logged.allowed, logged.distribution)
        counts = Counter(other.action_id for other in asked[decision_id])
        assert set(counts) <= set(logged.allowed)
        statistic += chisquare([counts[a] for a in logged.allowed], ASKED * chances).statistic
        freedom += len(chances) - 1
    assert chi2.sf(statistic, freedom) > 0.001
    # Not trivially so: the policy prefers some, and not the same for everybody.
    assert max(max(d.distribution) for d in written.values()) > 0.3
    assert len({d.allowed[int(np.argmax(d.distribution))] for d in written.values()}) > 1


@dataclass(frozen=True)
class Log:
    """The policy group's decisions of some days with their realised rewards, and the truth [n, K]."""

    decisions: list[Decision]
    reward: FloatArray
    truth: FloatArray
    actions: tuple[str, ...]

    def constant(self, action_id: str) -> tuple[Rounds, float]:
        """Return the log with `always action_id` as target (control where not allowed), and the target's true value."""
        column = {a: k for k, a in enumerate(self.actions)}
        place = [column[action_id if action_id in d.allowed else CONTROL] for d in self.decisions]
        target = np.zeros(self.truth.shape)
        target[np.arange(len(place)), place] = 1.0
        logged = np.array([column[d.action_id] for d in self.decisions])
        propensity = np.array([d.propensity for d in self.decisions])
        return Rounds(logged, self.reward, propensity, target), float((target * self.truth).sum(axis=1).mean())


@pytest.fixture(scope="module")
def log(served: Served) -> Log:
    """Rewards come straight from what the customers will do: no need to wait until they mature."""
    days, shop = served.loop.days, served.loop.days.shop
    kept: list[Decision] = []
    rewards, truths = [], []
    for day in range(served.day + 1, served.day + 1 + DAYS):
        arrivals, decisions = days.decide(day, served.serving)
        truth = shop.truth(arrivals).value
        for i, (arrival, decision) in enumerate(zip(arrivals, decisions, strict=True)):
            if decision.group is Group.POLICY:
                kept.append(decision)
                outcomes = shop.outcomes(arrival, decision)
                reward = reward_of(decision, outcomes, programme=shop.programme, now=decision.matures_at)
                rewards.append(reward.value_micros / MICROS)
                truths.append(truth[i])
    return Log(kept, np.array(rewards), np.array(truths), tuple(a.action_id for a in shop.programme.actions))


def within(estimate: Estimate, truth: float) -> bool:
    return abs(estimate.value - truth) < 4.0 * estimate.standard_error


def test_weighting_by_the_logged_propensities_recovers_the_value_of_every_constant_action(log: Log) -> None:
    assert len(log.decisions) > 1_500
    misses = []
    for action_id in log.actions:
        rounds, truth = log.constant(action_id)
        if not within(ESTIMATORS["ips"].estimate(rounds), truth):
            misses.append(action_id)
    assert misses == []


def test_importance_weights_average_to_one(log: Log) -> None:
    """The sharpest look at propensities: no reward's noise is in it."""
    for action_id in log.actions:
        rounds, _ = log.constant(action_id)
        certain = replace(rounds, reward=np.ones(len(rounds)))
        assert within(ESTIMATORS["ips"].estimate(certain), 1.0), action_id


def test_wrong_propensities_would_be_seen(log: Log) -> None:
    """The same look with the floor forgotten, as popular bandit code logs it, fails: the test has teeth."""
    forgotten = [max((d.propensity - FLOOR) / (1.0 - len(d.allowed) * FLOOR), 1e-3) for d in log.decisions]
    worst = 0.0
    for action_id in log.actions:
        rounds, _ = log.constant(action_id)
        wrong = replace(rounds, reward=np.ones(len(rounds)), propensity=np.array(forgotten))
        found = ESTIMATORS["ips"].estimate(wrong)
        worst = max(worst, abs(found.value - 1.0) / found.standard_error)
    assert worst > 4.0


def test_what_the_policy_earned_is_its_expectation_under_the_logged_distribution(log: Log) -> None:
    column = {a: k for k, a in enumerate(log.actions)}
    expected = [
        sum(p * truth[column[a]] for a, p in zip(d.allowed, d.distribution, strict=True))
        for d, truth in zip(log.decisions, log.truth, strict=True)
    ]
    error = log.reward.std() / np.sqrt(len(log.reward))
    assert abs(log.reward.mean() - np.mean(expected)) < 4.0 * error
