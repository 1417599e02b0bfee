"""The closed loop in shops whose truth is known: the proof that Encore learns, and at what price.

Each shop runs a randomised trial first; from it a challenger is trained and judged by the gate. It then serves
whatever the verdict was, so that every shop shows what serving it would have meant, and the verdicts are reported
beside. The service decides day by day through its own code (decide, observe, sweep, learn on a real ledger), rewards
arrive late and are refunded. Values are expectations under the truth, on the same customers for every policy.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from decision.bundle.store import Bundle, BundleStore
from decision.flow.learn import learn
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.records import CONTROL, Decision, FloatArray, Group
from decision.serving import Champion, Serving, champion_from
from experiments.challenger import Settings, build_challenger
from experiments.dataset import evaluation_set, training_set
from experiments.evaluate import compare
from experiments.learners import LEARNERS
from experiments.off_policy import GateRules
from experiments.shop import Shop, shop_programme
from experiments.shop.days import Days

START = date(2026, 1, 1)
POLICIES = ("oracle", "Encore", "best constant", "business as usual", "uniform", "control")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate: one shop a seed, `trial_days` of randomised trial, then `days` of service.

    Learners that need minutes are left out by default: the loop is under test here, not the catalogue.
    """

    seeds: tuple[int, ...]
    days: int = 60
    customers: int = 20_000
    trial_days: int = 40
    learners: tuple[str, ...] = ("constant", "pooled_sparse")


@dataclass(frozen=True, slots=True)
class Result:
    """What one shop gave.

    `daily` [policies, days] is the mean value per decision of customers whom the policy decides for, in the order
    of `POLICIES`; `decisions` [days] how many there were. `promoted` is what the gate said; `programme_value` is the
    value per decision of everybody, measurement groups included.
    """

    seed: int
    promoted: bool
    verdict: tuple[str, ...]
    best_constant: str
    daily: FloatArray
    decisions: FloatArray
    programme_value: float

    def value(self, policy: str, *, last: float = 1.0) -> float:
        """Return a policy's value per decision over the last share of the days."""
        start = round(len(self.decisions) * (1.0 - last))
        weights = self.decisions[start:]
        return float((self.daily[POLICIES.index(policy)][start:] * weights).sum() / weights.sum())


def run_shop(seed: int, plan: Plan, *, tell: Callable[[str], None] = lambda _: None) -> Result:
    """Run one shop from its trial to its last day, and return what every policy was worth."""
    with tempfile.TemporaryDirectory() as scratch:
        loop = Loop(seed, plan, Path(scratch))
        tell(f"seed {seed}: trial of {plan.trial_days} days")
        loop.days.trial(plan.trial_days)
        tell(f"seed {seed}: training")
        verdict, promoted = loop.train()
        tell(f"seed {seed}: {plan.days} days of service")
        return loop.serve(verdict, promoted)


class Loop:
    """One simulated shop and the service that decides for it."""

    def __init__(self, seed: int, plan: Plan, folder: Path) -> None:
        """Open the shop of `seed` with an empty ledger in `folder`."""
        self.plan, self.seed = plan, seed
        shop = Shop.open(shop_programme(), seed=seed, customers=plan.customers, start=START)
        self.days = Days(shop, SqliteLedger.create(folder / "ledger.db", durable=False))
        self.bundles = BundleStore(folder / "bundles")
        self.bundle: Bundle | None = None
        self.champion: Champion | None = None

    @property
    def programme(self) -> Programme:
        """Return the shop's programme."""
        return self.days.programme

    @property
    def first_day(self) -> int:
        """Return the first day of service."""
        return self.days.after_trial(self.plan.trial_days)

    def night(self, day: int) -> None:
        """End a day: events come in, rewards mature, the bandit learns and the service picks up its belief."""
        now = self.days.night(day)
        if self.bundle is not None:
            learn(self.bundle, programme=self.programme, ledger=self.days.ledger, now=now)
            belief = self.days.ledger.posterior(self.bundle.version)
            if belief is not None:
                self.champion = champion_from(self.bundle, belief.data, belief.sequence)

    def train(self) -> tuple[tuple[str, ...], bool]:
        """Train a challenger and let the gate judge it against business as usual."""
        now = self.days.midnight(self.first_day)
        training = training_set(self.days.ledger, self.programme)
        held_out = evaluation_set(self.days.ledger, self.programme)
        learners = {name: LEARNERS[name] for name in self.plan.learners}
        settings = Settings(seed=self.seed, repeats=1)
        built = build_challenger(training, self.programme, settings, now=now, learners=learners)
        bundle = self.bundles.write(built.manifest, built.arrays)
        challenger = champion_from(bundle)
        verdict = compare(held_out, self.programme, challenger, None, rules=GateRules()).verdict
        self.bundle, self.champion = bundle, challenger
        return verdict.sentences(), verdict.promote

    def serve(self, verdict: tuple[str, ...], promoted: bool) -> Result:
        """Serve for the days of the plan and value every policy under the truth."""
        daily = np.zeros((len(POLICIES) - 1, self.plan.days))
        constants = np.zeros((self.plan.days, len(self.programme.actions)))
        count = np.zeros(self.plan.days)
        total = everybody = 0.0
        for d in range(self.plan.days):
            day = self.first_day + d
            arrivals, decisions = self.days.decide(day, Serving(self.programme, self.champion))
            self.night(day)
            values = self.days.shop.truth(arrivals).value
            chosen = np.array([self._column(x.action_id) for x in decisions])
            total += float(values[np.arange(len(values)), chosen].sum())
            everybody += len(decisions)
            rows = [i for i, x in enumerate(decisions) if x.group is Group.POLICY]
            count[d] = len(rows)
            daily[:, d], constants[d] = self._value_day(values[rows], [decisions[i] for i in rows])
        best = int((constants * count[:, None]).sum(axis=0).argmax())
        table = np.insert(daily, POLICIES.index("best constant"), constants[:, best], axis=0)
        return Result(
            seed=self.seed,
            promoted=promoted,
            verdict=verdict,
            best_constant=self.programme.actions[best].action_id,
            daily=table,
            decisions=count,
            programme_value=total / everybody,
        )

    def _column(self, action_id: str) -> int:
        return self.days.shop.column[action_id]

    def _value_day(self, values: FloatArray, decisions: Sequence[Decision]) -> tuple[FloatArray, FloatArray]:
        """Return mean values of all policies but the best constant, and of every constant action [K]."""
        n, k = values.shape
        control = self._column(CONTROL)
        allowed = np.zeros((n, k), dtype=bool)
        chances = np.zeros((n, k))
        usual = np.zeros(n, dtype=int)
        for i, decision in enumerate(decisions):
            columns = [self._column(a) for a in decision.allowed]
            allowed[i, columns] = True
            chances[i, columns] = decision.distribution
            wanted = self._column(self.programme.business_as_usual[decision.trigger])
            usual[i] = wanted if allowed[i, wanted] else control
        rows = np.arange(n)
        uniform = (values * allowed).sum(axis=1) / allowed.sum(axis=1)
        oracle = np.where(allowed, values, -np.inf).max(axis=1)
        encore = (values * chances).sum(axis=1)
        constant = np.where(allowed, values, values[:, [control]]).mean(axis=0)
        plain = (oracle, encore, values[rows, usual], uniform, values[:, control])
        return np.array([column.mean() for column in plain]), constant
