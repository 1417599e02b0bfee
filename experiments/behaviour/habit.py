"""BG/NBD in seasonal time: each customer buys at a rate of her own until she stops, unseen (Fader, Hardie, Lee 2005).

Gaps may be more regular than chance: the sum of k exponential ones (BG/CNBD-k: Reutterer, Platzer, Schröder 2021), with
the k of highest likelihood. Between purchases the day's length follows the season, so that a quiet summer is not a sign
of leaving. Its chance of being alive is 1 for one-time buyers, whatever their silence: what is used is the chance of a
purchase in a horizon.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma
from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments.behaviour.journal import Journal
from experiments.behaviour.season import Season
from experiments.behaviour.state import State, gaps_before

LARGEST = 8.0
REGULARITIES = (1, 2, 3)
STARTS = ((0.0, 3.0, -1.0, 1.0), (0.0, 4.0, -2.0, 0.0), (0.0, 3.0, 0.0, 3.0))


@dataclass(frozen=True, slots=True)
class Habit:
    """Rates are gamma (`shape`, `scale` in days), chances to stop after a purchase beta (`stop`, `stay`).

    A gap is `regularity` exponential ones; rates are those of the exponential ones.
    """

    shape: float
    scale: float
    stop: float
    stay: float
    season: Season
    regularity: int = 1

    def rate(self, state: State) -> FloatArray:
        """Return the expected purchases a day of each customer while she is alive, [N]."""
        k = self.regularity
        return np.asarray((self.shape + k * (state.purchases - 1.0)) / (self.scale + state.tenure) / k)

    def buys_within(self, state: State, days: FloatArray) -> FloatArray:
        """Return P(at least one purchase within `days` [E] from the state's day on), shape [N, E]."""
        until_last, until_now, ahead = self._times(state, int(np.ceil(days.max())))
        x = state.purchases - 1.0
        power = self.shape + self.regularity * x
        now, last = self.scale + until_now, self.scale + until_last
        unbroken = _unbroken(power, (now - last) / now, self.regularity)
        gone = self.stop / (self.stay + np.maximum(x, 1.0) - 1.0)
        alive = np.where(x > 0, 1.0 / (1.0 + gone * (now / last) ** power / unbroken), 1.0)
        then = now[:, None] + np.interp(days, np.arange(len(ahead)), ahead)
        later = _unbroken(power[:, None], (then - last[:, None]) / then, self.regularity)
        silent = (now[:, None] / then) ** power[:, None] * later / unbroken[:, None]
        return np.asarray(alive[:, None] * (1.0 - silent))

    def _times(self, state: State, ahead: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _times(state, self.season, ahead)


def _times(state: State, season: Season, ahead: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return seasonal time from first purchase to last and to now, [N], and from now on by day, [ahead + 1]."""
    if season == Season():
        return state.tenure - state.silence, state.tenure, np.arange(ahead + 1.0)
    oldest = int(state.tenure.max())
    clock = season.clock(state.as_of - oldest, state.as_of + ahead)
    now = clock[oldest]
    first = now - np.interp(oldest - state.tenure, np.arange(len(clock)), clock)
    last = now - np.interp(oldest - state.silence, np.arange(len(clock)), clock)
    return first - last, first, clock[oldest : oldest + ahead + 1] - now


def _unbroken(power: Any, share: Any, regularity: int) -> Any:
    """Return how much likelier a silence is than if each gap were one exponential, at gamma rates of this `power`.

    `share` is the silence's of all time: sum over j < k of share^j * power * (power + 1) ... (power + j - 1) / j!.
    """
    total = term = np.ones_like(share)
    for j in range(1, regularity):
        term = term * share * (power + j - 1.0) / j
        total = total + term
    return total


def fit_habit(state: State, season: Season, regularity: int = 1) -> Habit:
    """Return the habit of maximum likelihood. Parameters are kept within e^-8 to e^8: leaving is often unidentified."""
    return _fit(state, season, regularity)[0]


def fit_regular_habit(journal: Journal, state: State) -> Habit:
    """Return the habit in calendar time of that regularity under which the gaps are likeliest."""
    gaps = gaps_before(journal, state.as_of)
    n = len(state.customer)
    found = []
    for k in REGULARITIES:
        habit, loss = _fit(state, Season(), k)
        found.append((loss - ((k - 1) * float(np.log(gaps).sum()) - len(gaps) * lgamma(k)) / n, k, habit))
    return min(found)[2]


def _fit(state: State, season: Season, regularity: int) -> tuple[Habit, float]:
    from scipy.optimize import minimize

    until_last, until_now, _ = _times(state, season, 0)
    loss = _loss(state.purchases - 1.0, until_last, until_now, regularity)
    bounds = [(-LARGEST, LARGEST)] * 4
    found = min((minimize(loss, start, method="L-BFGS-B", bounds=bounds) for start in STARTS), key=lambda m: m.fun)
    shape, scale, stop, stay = np.exp(found.x).tolist()
    return Habit(shape, scale, stop, stay, season, regularity), float(found.fun)


def _loss(x: FloatArray, until_last: FloatArray, until_now: FloatArray, regularity: int) -> Any:
    from scipy.special import gammaln

    def loss(logs: FloatArray) -> float:
        shape, scale, stop, stay = np.exp(logs)
        power, now, last = shape + regularity * x, scale + until_now, scale + until_last
        both = gammaln(power) - gammaln(shape) + shape * np.log(scale)
        stays = gammaln(stop + stay) + gammaln(stay + x) - gammaln(stay) - gammaln(stop + stay + x)
        alive = np.log(_unbroken(power, (now - last) / now, regularity)) - power * np.log(now)
        left = np.log(stop) - np.log(stay + np.maximum(x, 1.0) - 1.0) - power * np.log(last)
        return -float((both + stays + np.where(x > 0, np.logaddexp(alive, left), alive)).mean())

    return loss
