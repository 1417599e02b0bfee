"""Actions compared on what a bandit collected, by the logged propensities; never by naive means.

IPW: reward / propensity where the action was drawn. AIPW adds a prediction from earlier decisions alone, so that each
term has the right mean whatever came before: the terms are martingale differences. Weighed adaptively (Hadad et al.
2021, see `bandit_weights`) their sum is normal also when the bandit goes over to one action.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, NotEnoughData
from decision.records import FloatArray
from experiments.ab.bandit_weights import Weighing, evaluation_weights
from experiments.ab.effect import USUAL, Confidence, Effect, Spread, interval


@dataclass(frozen=True, eq=False)
class BanditLog:
    """Decisions in order of time.

    Parameters
    ----------
    action : int[T], from 0 to K - 1.
    reward : float[T].
    propensity : float[T, K], the logged probability of every action, 0 where it was not allowed.
    """

    action: NDArray[np.integer]
    reward: FloatArray
    propensity: FloatArray

    def __post_init__(self) -> None:
        t, k = self.propensity.shape
        if len(self.action) != t or len(self.reward) != t:
            raise InvalidInput(
                f"Expected {t:,} actions and rewards, found {len(self.action):,} and {len(self.reward):,}."
            )
        if t and (self.action.min() < 0 or self.action.max() >= k):
            raise InvalidInput(f"Expected actions from 0 to {k - 1}, found {self.action.min()} to {self.action.max()}.")
        if not np.isfinite(self.reward).all():
            raise InvalidInput("Expected a finite reward for every decision, found some missing.")
        if t and not (np.abs(self.propensity.sum(axis=1) - 1) < 1e-6).all():
            raise InvalidInput("Expected probabilities that sum to 1 at every decision, found others.")
        if t and not (self.propensity[np.arange(t), self.action] > 0).all():
            raise InvalidInput("Expected a propensity above 0 for every drawn action, found 0.")


@dataclass(frozen=True, eq=False)
class ActionValues:
    """The value of each action with its standard error, float[K], and what contrasts are made from."""

    value: FloatArray
    standard_error: FloatArray
    deviations: FloatArray

    def contrast(self, action: int, against: int, confidence: Confidence = USUAL) -> Effect:
        """Return the value of an action minus that of another, on the same decisions."""
        gap = self.deviations[:, action] - self.deviations[:, against]
        return _effect(float(self.value[action] - self.value[against]), gap, confidence)


def ipw_scores(log: BanditLog) -> FloatArray:
    """Return float[T, K]: reward / propensity where the action was drawn, else 0."""
    return aipw_scores(log, np.zeros_like(log.propensity))


def aipw_scores(log: BanditLog, predicted: FloatArray | None = None) -> FloatArray:
    """Return float[T, K]: the prediction, put right by what was seen.

    `predicted` float[T, K] must not know the decision itself or later ones; by default the mean so far of each action.
    """
    if predicted is None:
        predicted = means_so_far(log)
    rows = np.arange(len(log.action))
    scores = np.array(predicted, dtype=np.float64)
    drawn = predicted[rows, log.action]
    scores[rows, log.action] += (log.reward - drawn) / log.propensity[rows, log.action]
    return scores


def means_so_far(log: BanditLog) -> FloatArray:
    """Return float[T, K]: what each action brought on average before each decision, 0 before its first."""
    drawn = np.zeros_like(log.propensity)
    drawn[np.arange(len(log.action)), log.action] = 1.0
    count = np.cumsum(drawn, axis=0)
    total = np.cumsum(drawn * log.reward[:, None], axis=0)
    lagged = np.zeros_like(drawn)
    lagged[1:] = total[:-1] / np.maximum(count[:-1], 1.0)
    return lagged


def action_values(scores: FloatArray, weights: FloatArray) -> ActionValues:
    """Return the weighed mean of scores float[T, K]. Raises `NotEnoughData` for an action that could never be drawn."""
    total = weights.sum(axis=0)
    if not (total > 0).all():
        raise NotEnoughData(
            f"Every action needs decisions in which it could be drawn, found none for number {int(np.argmin(total))}."
        )
    share = weights / total
    value = np.sum(share * scores, axis=0)
    deviations = share * (scores - value)
    return ActionValues(value, np.sqrt(np.sum(deviations**2, axis=0)), deviations)


def adaptive_values(log: BanditLog, weighing: Weighing = Weighing.CONSTANT, floor_decay: float = 0.0) -> ActionValues:
    """Return the values of all actions by AIPW with adaptive weights."""
    return action_values(aipw_scores(log), evaluation_weights(log.propensity, weighing, floor_decay))


def contextual_contrast(
    log: BanditLog,
    actions: tuple[int, int],
    *,
    cluster: NDArray[np.generic],
    confidence: Confidence = USUAL,
    blocks: int = 20,
) -> Effect:
    """Return the value of `actions[0]` minus that of `actions[1]` where the propensities depend on the context.

    Weights that follow the context would compare other customers. So all decisions of a block of time weigh the same,
    by what the scores' variance was in the block before (StableVar of Zhan, Ren, Athey and Zhou 2021), and only
    decisions count in which both actions could be drawn. `cluster` [T] is what is independent, as a rule the customer.

    Raises
    ------
    NotEnoughData : there are no two decisions in which both could be drawn.
    """
    both, share = decisions_between(log, actions, blocks)
    scores = aipw_scores(log)[both]
    gap = scores[:, actions[0]] - scores[:, actions[1]]
    value = float(share @ gap)
    _, customer = np.unique(cluster[both], return_inverse=True)
    deviations: FloatArray = np.asarray(np.bincount(customer, weights=share * (gap - value)), dtype=np.float64)
    return _effect(value, deviations, confidence)


def decisions_between(
    log: BanditLog, actions: tuple[int, int], blocks: int = 20
) -> tuple[NDArray[np.intp], FloatArray]:
    """Return which decisions a contrast of two actions is made from, [n], and the share of each, [n].

    Raises
    ------
    NotEnoughData : there are no two decisions in which both could be drawn.
    """
    both = np.flatnonzero((log.propensity[:, actions[0]] > 0) & (log.propensity[:, actions[1]] > 0))
    if len(both) < 2:
        raise NotEnoughData(
            f"A comparison needs decisions in which both actions could be drawn, found "
            f"{len(both)} of {len(log.action):,}."
        )
    spread = (1 / log.propensity[both][:, actions]).sum(axis=1)
    block = np.arange(len(both)) * min(blocks, len(both)) // len(both)
    mean_spread = np.bincount(block, weights=spread) / np.bincount(block)
    known = np.concatenate([mean_spread[:1], mean_spread[:-1]])
    share = known[block] ** -0.5
    return both, np.asarray(share / share.sum())


def _effect(value: float, deviations: FloatArray, confidence: Confidence) -> Effect:
    """Return the interval of a weighed mean.

    Where few heavy terms decide, the variance is known as badly as by so many degrees of freedom (Satterthwaite 1946,
    with the kurtosis of a normal): without that, intervals after an action was hardly drawn any more are too short.
    """
    squares = deviations**2
    total = float(squares.sum())
    degrees = np.inf
    if confidence.spread is not Spread.NORMAL and total > 0:
        degrees = float(np.clip(3 / ((squares / total) ** 2).sum(), 1.0, max(len(squares) - 1, 1)))
    return interval(value, float(np.sqrt(total)), degrees, confidence)
