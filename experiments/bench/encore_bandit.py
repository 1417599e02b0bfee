"""Encore in the bandit benchmark: its bandits and their belief, after an uplift model where there was a trial."""

from __future__ import annotations

import numpy as np

from decision.policies.action_features import ActionFeatures, PriorScales
from decision.policies.bandit import Bandit
from decision.policies.base import Outlook, Situation
from decision.policies.belief import Belief
from decision.policies.posterior import Posterior, logit
from decision.policies.registry import bandit_named
from decision.records import CONTROL_ACTION, Action, Components
from decision.stages.valuation import Worth
from experiments.bench.protocol import FloatArray, IntArray, Logged, Setting
from experiments.challenger import Settings
from experiments.learners import LEARNERS
from experiments.learners.base import Fitted, Rows

BASE_RATE = 0.08
DRAWS = 256
FOLDS = 3
# Without an uplift model the bandit has everything to learn, the average included.
COLD = PriorScales(base=2.0, base_x=0.3, offer=0.3, channel=0.1, offer_channel=0.08, offer_x=0.15, channel_x=0.1)


class EncorePolicy:
    """See `experiments.bench.protocol.BanditPolicy`."""

    def __init__(self, setting: Setting, *, policy: str = "thompson") -> None:
        """Learn the uplift model from the past trial, where there was one. `policy` names one of Encore's bandits."""
        self.name = policy
        self.setting = setting
        pairs = zip(setting.offer[1:], setting.channel[1:], strict=True)
        self.actions = (CONTROL_ACTION, *(Action(setting.offers[o], setting.channels[c]) for o, c in pairs))
        self.features = ActionFeatures(self.actions, setting.width)
        prior = self.features.prior(COLD if setting.history is None else PriorScales())
        self.fitted = None if setting.history is None else self._fit(setting.history, np.ones(0))
        start = Posterior.prior(prior.variance)
        self.belief = Belief.start(self._warm(start), prior)
        self.policy = self._policy()
        self._rng = np.random.default_rng(setting.seed)

    def _fit(self, past: Logged, keep: FloatArray) -> Fitted:
        rows = Rows(past.x, past.action, past.bought.astype(float), self.features)
        return LEARNERS["pooled_sparse"].fit(rows if not len(keep) else rows.where(keep > 0), seed=self.setting.seed)

    def _warm(self, start: Posterior) -> Posterior:
        """Learn the residual of out-of-fold odds, as training does."""
        past = self.setting.history
        if past is None:
            return start
        fold = np.random.default_rng(self.setting.seed).integers(FOLDS, size=len(past.x))
        odds = np.zeros(len(past.x))
        for f in range(FOLDS):
            out = fold == f
            predicted = self._fit(past, (~out).astype(float)).predict(past.x[out], in_sample=False)
            odds[out] = predicted[np.arange(out.sum()), past.action[out]]
        return start.updated(self.features.design(past.action, past.x), logit(odds), past.bought.astype(float))

    def _policy(self) -> Bandit:
        least, seed = Settings(seed=self.setting.seed).exploration, self.setting.seed
        belief = self.belief.lasting
        return bandit_named(self.name, self.features, belief, draws=DRAWS, exploration=least, seed=seed)

    def _odds(self, x: FloatArray) -> FloatArray:
        if self.fitted is None:
            return np.full((len(x), len(self.actions)), BASE_RATE)
        return self.fitted.predict(x, in_sample=False)

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray]:
        """Return the actions drawn for contexts, and their probabilities."""
        index, zero = np.arange(len(self.actions)), np.zeros(len(self.actions))
        chosen, probability = np.zeros(len(idx), dtype=int), np.zeros(len(idx))
        for row, odds in enumerate(self._odds(x)):
            components = Components(visit=zero, repurchase=odds, basket=zero, redemption=zero)
            worth = Worth(fixed=-self.setting.contact, per_repurchase=self.setting.net[idx[row]])
            outlook = Outlook(features=x[row], index=index, components=components, worth=worth)
            distribution = self.policy.distribution(Situation("purchase", self.actions, outlook))
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
        self.belief = self.belief.updated(self.features.design(action, x), offset, bought.astype(float))
        self.policy = self._policy()


def epsilon_greedy(setting: Setting) -> EncorePolicy:
    """Return Encore with epsilon-greedy exploration."""
    return EncorePolicy(setting, policy="epsilon_greedy")


def inverse_gap(setting: Setting) -> EncorePolicy:
    """Return Encore with inverse-gap weighting."""
    return EncorePolicy(setting, policy="inverse_gap")


def linucb(setting: Setting) -> EncorePolicy:
    """Return Encore with upper confidence bounds."""
    return EncorePolicy(setting, policy="linucb")
