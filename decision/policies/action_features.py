"""Features of action x context that the bandit shares between actions.

Blocks: base (1, x) for every action; offer; channel; offer x channel; offer x x; channel x x. Twenty actions
so learn from each other's outcomes instead of each on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np

from decision.policies.belief import Prior
from decision.records import Action, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class PriorScales:
    """Standard deviations of the prior of each block, in log-odds per unit of a standardised feature."""

    base: float = 0.15
    base_x: float = 0.05
    offer: float = 0.30
    channel: float = 0.15
    offer_channel: float = 0.15
    offer_x: float = 0.10
    channel_x: float = 0.07


class ActionFeatures:
    """Maps (actions, context vector) to the bandit's design matrix."""

    def __init__(self, actions: Sequence[Action], width: int) -> None:
        """`actions` is the bundle's catalogue, `width` the length D of a context vector."""
        treatments = [a for a in actions if not a.is_control]
        offers = sorted({a.offer for a in treatments})
        channels = sorted({a.channel for a in treatments})
        self.width = width
        self.offers = np.array([[a.offer == o and not a.is_control for o in offers] for a in actions], float)
        self.channels = np.array([[a.channel == c for c in channels] for a in actions], float)
        self.pairs = np.array([[a == t for t in treatments] for a in actions], float)
        self.offers = self.offers.reshape(len(actions), len(offers))
        self.channels = self.channels.reshape(len(actions), len(channels))
        self.pairs = self.pairs.reshape(len(actions), len(treatments))

    def without_context(self) -> ActionFeatures:
        """Return the features of actions alone, for contexts of length 0."""
        blind = copy(self)
        blind.width = 0
        return blind

    @property
    def size(self) -> int:
        """Return the number P of features."""
        return sum(self._sizes)

    def design(self, index: IntArray, x: FloatArray) -> FloatArray:
        """Return the features of actions `index` [n] in contexts `x` ([D] shared, or [n, D]), shape [n, P]."""
        n = len(index)
        x = np.broadcast_to(x, (n, self.width))
        offers, channels = self.offers[index], self.channels[index]
        by_offer = (offers[:, :, None] * x[:, None, :]).reshape(n, -1)
        by_channel = (channels[:, :, None] * x[:, None, :]).reshape(n, -1)
        return np.hstack([np.ones((n, 1)), x, offers, channels, self.pairs[index], by_offer, by_channel])

    def parts(self) -> tuple[FloatArray, IntArray, FloatArray]:
        """Return designs as sums of the G parts that actions share (all, offers, channels), and their own.

        `members` [K, G] says which parts an action has; `weights` [1 + D, G] is the place in [P] of the feature that
        each number of (1, x) is in each part; `own` [K, P] marks the feature of the action's own pair.
        """
        o, c = self.offers.shape[1], self.channels.shape[1]
        members = np.hstack([np.ones((len(self.offers), 1)), self.offers, self.channels])
        base, base_x, offers, channels, pairs, offer_x, channel_x = np.cumsum((0, *self._sizes))[:-1]
        alone = [base, *(offers + np.arange(o)), *(channels + np.arange(c))]
        by_x = [base_x, *(offer_x + np.arange(o) * self.width), *(channel_x + np.arange(c) * self.width)]
        weights = np.vstack([alone, np.add.outer(np.arange(self.width), by_x)])
        own = np.zeros((len(self.offers), self.size))
        own[:, pairs:offer_x] = self.pairs
        return members, weights.astype(np.int64), own

    def prior(self, scales: PriorScales) -> Prior:
        """Return the prior of each feature's weight: of what facts change about actions, few weights are large."""
        sizes, of_context = self._sizes, (False, False, False, False, False, True, True)
        sds = (
            scales.base,
            scales.base_x,
            scales.offer,
            scales.channel,
            scales.offer_channel,
            scales.offer_x,
            scales.channel_x,
        )
        return Prior(np.repeat(np.square(sds), sizes), np.repeat(of_context, sizes))

    @property
    def _sizes(self) -> tuple[int, ...]:
        """Return how many features each block has."""
        o, c, pairs = self.offers.shape[1], self.channels.shape[1], self.pairs.shape[1]
        return 1, self.width, o, c, pairs, o * self.width, c * self.width

    def prior_variance(self, scales: PriorScales) -> FloatArray:
        """Return the prior variance of each feature's weight, shape [P]."""
        return self.prior(scales).variance
