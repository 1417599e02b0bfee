"""Encore in the bandit benchmark: its bandits and their belief, after an uplift model where there was a trial."""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures, PriorScales
from decision.policies.base import Outlook, Situation
from decision.policies.posterior import Posterior, logit
from decision.policies.registry import bandit_named
from decision.records import CONTROL_ACTION, Action, Components
from decision.stages.valuation import Worth
from experiments.bench.protocol import FloatArray, IntArray, Setting
from experiments.learners import LEARNERS
from experiments.learners.base import Fitted, Rows

BASE_RATE = 0.08
DRAWS = 256


class EncorePolicy:
    """See `experiments.bench.protocol.BanditPolicy`."""

    def __init__(self, setting: Setting, *, policy: str = "thompson") -> None:
        """Learn the uplift model from the past trial, where there was one. `policy` names one of Encore's bandits."""
        self.name = policy
        self.setting = setting
        pairs = zip(setting.offer[1:], setting.channel[1:], strict=True)
        self.actions = (CONTROL_ACTION, *(Action(setting.offers[o], setting.channels[c]) for o, c in pairs))
        self.features = ActionFeatures(self.actions, setting.width)
        self.posterior = Posterior.prior(self.features.prior_variance(PriorScales()))
        self.fitted: Fitted | None = None
        if (past := setting.history) is not None:
            rows = Rows(past.x, past.action, past.bought, self.features)
            self.fitted = LEARNERS["pooled_linear"].fit(rows, seed=setting.seed)
        self._rng = np.random.default_rng(setting.seed)

    def _odds(self, x: FloatArray) -> FloatArray:
        return (
            np.full((len(x), len(self.actions)), BASE_RATE)
            if self.fitted is None
            else self.fitted.predict(x, in_sample=False)
        )

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the actions drawn for contexts, and their probabilities."""
        seed = self.setting.seed
        policy = bandit_named(self.name, self.features, self.posterior, draws=DRAWS, exploration=1.0, seed=seed)
        index, zero = np.arange(len(self.actions)), np.zeros(len(self.actions))
        chosen, probability = np.zeros(len(idx), dtype=int), np.zeros(len(idx))
        for row, odds in enumerate(self._odds(x)):
            components = Components(visit=zero, repurchase=odds, basket=zero, redemption=zero)
            worth = Worth(fixed=-self.setting.contact, per_repurchase=self.setting.net[idx[row]])
            outlook = Outlook(features=x[row], index=index, components=components, worth=worth)
            distribution = policy.distribution(Situation("purchase", self.actions, outlook))
            chosen[row] = self._rng.choice(len(index), p=distribution)
            probability[row] = distribution[chosen[row]]
        return chosen, probability

    def update(  # noqa: PLR0917 - the worlds call it by position
        self,
        x: FloatArray,
        action: IntArray,
        bought: IntArray,
        payoff: FloatArray,
        probability: FloatArray,
        idx: IntArray,
    ) -> None:
        """Learn from outcomes that have arrived."""
        offset = logit(self._odds(x)[np.arange(len(x)), action])
        self.posterior = self.posterior.updated(self.features.design(action, x), offset, bought.astype(float))


def epsilon_greedy(setting: Setting) -> EncorePolicy:
    """Return Encore with epsilon-greedy exploration."""
    return EncorePolicy(setting, policy="epsilon_greedy")


def inverse_gap(setting: Setting) -> EncorePolicy:
    """Return Encore with inverse-gap weighting."""
    return EncorePolicy(setting, policy="inverse_gap")


def linucb(setting: Setting) -> EncorePolicy:
    """Return Encore with upper confidence bounds."""
    return EncorePolicy(setting, policy="linucb")
