"""BG/NBD in seasonal time: each customer buys at a rate of her own until she stops, unseen (Fader, Hardie, Lee 2005).

Between purchases the day's length follows the season, so that a quiet summer is not a sign of leaving. Its chance of
being alive is 1 for one-time buyers, whatever their silence: what is used is the chance of a purchase in a horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments.behaviour.season import Season
from experiments.behaviour.state import State

LARGEST = 8.0
STARTS = ((0.0, 3.0, -1.0, 1.0), (0.0, 4.0, -2.0, 0.0), (0.0, 3.0, 0.0, 3.0))


@dataclass(frozen=True, slots=True)
class Habit:
    """Rates are gamma (`shape`, `scale` in days), chances to stop after a purchase beta (`stop`, `stay`)."""

    shape: float
    scale: float
    stop: float
    stay: float
    season: Season

    def rate(self, state: State) -> FloatArray:
        """Return the expected purchases a day of each customer while she is alive, [N]."""
        return np.asarray((self.shape + state.purchases - 1.0) / (self.scale + state.tenure))

    def buys_within(self, state: State, days: FloatArray) -> FloatArray:
        """Return P(at least one purchase within `days` [E] from the state's day on), shape [N, E]."""
        until_last, until_now, ahead = self._times(state, int(np.ceil(days.max())))
        x = state.purchases - 1.0
        gone = self.stop / (self.stay + np.maximum(x, 1.0) - 1.0)
        odds = ((self.scale + until_now) / (self.scale + until_last)) ** (self.shape + x)
        alive = np.where(x > 0, 1.0 / (1.0 + gone * odds), 1.0)
        horizon = np.interp(days, np.arange(len(ahead)), ahead)
        silent = ((self.scale + until_now)[:, None] / (self.scale + until_now[:, None] + horizon)) ** (self.shape + x)[
            :, None
        ]
        return np.asarray(alive[:, None] * (1.0 - silent))

    def _times(self, state: State, ahead: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _times(state, self.season, ahead)


def _times(state: State, season: Season, ahead: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return seasonal time from first purchase to last and to now, [N], and from now on by day, [ahead + 1]."""
    oldest = int(state.tenure.max())
    clock = season.clock(state.as_of - oldest, state.as_of + ahead)
    now = clock[oldest]
    first = now - np.interp(oldest - state.tenure, np.arange(len(clock)), clock)
    last = now - np.interp(oldest - state.silence, np.arange(len(clock)), clock)
    return first - last, first, clock[oldest : oldest + ahead + 1] - now


def fit_habit(state: State, season: Season) -> Habit:
    """Return the habit of maximum likelihood. Parameters are kept within e^-8 to e^8: leaving is often unidentified."""
    from scipy.optimize import minimize

    until_last, until_now, _ = _times(state, season, 0)
    x = state.purchases - 1.0
    loss = _loss(x, until_last, until_now)
    bounds = [(-LARGEST, LARGEST)] * 4
    found = min((minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in STARTS), key=lambda m: m.fun)
    shape, scale, stop, stay = np.exp(found.x).tolist()
    return Habit(shape, scale, stop, stay, season)


def _loss(x: FloatArray, until_last: FloatArray, until_now: FloatArray) -> Any:
    from scipy.special import gammaln

    def loss(logs: FloatArray) -> float:
        shape, scale, stop, stay = np.exp(logs)
        both = gammaln(shape + x) - gammaln(shape) + shape * np.log(scale)
        stays = gammaln(stop + stay) + gammaln(stay + x) - gammaln(stay) - gammaln(stop + stay + x)
        alive = -(shape + x) * np.log(scale + until_now)
        left = np.log(stop) - np.log(stay + np.maximum(x, 1.0) - 1.0) - (shape + x) * np.log(scale + until_last)
        return -float((both + stays + np.where(x > 0, np.logaddexp(alive, left), alive)).mean())

    return loss
