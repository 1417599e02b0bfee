"""What others predict customers by. Each sees a journal before the cut, and foretells for everybody who has bought.

BG/NBD and the Weibull model are our own maximum-likelihood fits with scipy: the libraries that have them are not kept
(lifetimes), or bring 800 MB (pymc-marketing), and the first does not converge on most settings of Online Retail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from decision.records import FloatArray
from experiments.behaviour import rules
from experiments.behaviour.columns import fit_hinges, money_facts
from experiments.behaviour.habit import fit_habit
from experiments.behaviour.journal import Journal
from experiments.behaviour.season import Season
from experiments.behaviour.state import State, first_purchase_after, spent_after, state_at

HORIZON = 90
WEEK = 7
WARM_UP = 14


class Foretold(NamedTuple):
    """P(purchase in 90 days), money within the holdout, and days to the next purchase, [N] each; None: not foretold."""

    chance: FloatArray
    money: FloatArray | None = None
    wait: FloatArray | None = None


Peer = Callable[[Journal, int, int], Foretold]


def bg_nbd(journal: Journal, cut: int, days: int) -> Foretold:
    """BG/NBD in calendar time, and gamma-gamma's mean purchase (Fader, Hardie, Lee 2005)."""
    state = state_at(journal, cut)
    habit = fit_habit(state, Season())
    grid = np.arange(1.0, HORIZON + 1.0)
    chances = habit.buys_within(state, grid)
    alive = np.minimum(chances[:, -1] / -np.expm1(-habit.rate(state) * HORIZON), 1.0)
    money = alive * habit.rate(state) * days * _gamma_gamma(journal, state)
    return Foretold(chances[:, -1], money, _median_within(grid, chances))


def glm(journal: Journal, cut: int, days: int) -> Foretold:
    """Logistic, Tweedie and log-normal regressions on ten log-RFM columns, on weekly snapshots of whole horizons."""
    from sklearn.linear_model import LinearRegression, LogisticRegression, TweedieRegressor

    state, seen = state_at(journal, cut), list(_snapshots(journal, cut))
    x = np.vstack([money_facts(s) for s, _, _ in seen])
    wait = np.concatenate([w for _, w, _ in seen])
    spent = np.concatenate([m for _, _, m in seen])
    columns = fit_hinges(x, tuple(range(x.shape[1])), straight=True)
    z, now = columns.columns(x), columns.columns(money_facts(state))
    came = wait < HORIZON
    chance = LogisticRegression(solver="newton-cholesky").fit(z, came).predict_proba(now)[:, 1]
    scale = float(spent.mean())
    money = TweedieRegressor(power=1.2, alpha=0.1, solver="newton-cholesky").fit(z, spent / scale).predict(now)
    date = np.exp(LinearRegression().fit(z[came], np.log(wait[came] + 0.5)).predict(now))
    return Foretold(chance, scale * money * days / HORIZON, date)


def boosted(journal: Journal, cut: int, days: int) -> Foretold:
    """LightGBM on the same snapshots, grown small."""
    import lightgbm

    state, seen = state_at(journal, cut), list(_snapshots(journal, cut))
    x = np.vstack([money_facts(s) for s, _, _ in seen])
    wait = np.concatenate([w for _, w, _ in seen])
    spent = np.concatenate([m for _, _, m in seen])
    now = money_facts(state)
    size = {"num_leaves": 8, "min_data_in_leaf": 80, "learning_rate": 0.04, "verbose": -1, "num_threads": 1, "seed": 1}
    scale = float(spent.mean())

    def grown(objective: str, truth: FloatArray, rows: FloatArray) -> FloatArray:
        data = lightgbm.Dataset(rows, truth)
        return np.asarray(lightgbm.train({"objective": objective, **size}, data, num_boost_round=150).predict(now))

    came = wait < HORIZON
    money = scale * grown("tweedie", spent / scale, x) * days / HORIZON
    return Foretold(grown("binary", came.astype(float), x), money, grown("l1", wait[came], x[came]))


def weibull(journal: Journal, cut: int, days: int) -> Foretold:
    """Accelerated failure time of the next purchase, Weibull, censored at the cut; linear in the same ten columns."""
    from scipy.optimize import minimize

    state = state_at(journal, cut)
    starts = [state_at(journal, day) for day in range(cut - WEEK, journal.first_day + WARM_UP, -2 * WEEK)]
    x = np.vstack([money_facts(s) for s in starts])
    known = journal.before(cut)
    wait = np.concatenate([first_purchase_after(known, s) for s in starts])
    watched = np.concatenate([np.full(len(s.customer), float(cut - s.as_of)) for s in starts])
    came = np.isfinite(wait)
    log_time = np.log(np.where(came, wait + 0.5, watched))
    columns = fit_hinges(x, tuple(range(x.shape[1])), straight=True)
    z = np.column_stack([np.ones(len(x)), columns.columns(x)])

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        shape = np.exp(theta[0])
        u = shape * (log_time - z @ theta[1:])
        hazard = np.exp(np.minimum(u, 50.0))
        value = -(came * (np.log(shape) + u) - hazard).mean()
        slope = came - hazard
        by_shape = -(came + slope * u).mean()
        return float(value), np.concatenate([[by_shape], shape * (z * slope[:, None]).mean(axis=0)])

    begin = np.concatenate([[0.0, float(log_time.mean())], np.zeros(z.shape[1] - 1)])
    found = minimize(loss, begin, jac=True, method="L-BFGS-B").x
    now = np.column_stack([np.ones(len(state.customer)), columns.columns(money_facts(state))])
    grid = np.arange(1.0, HORIZON + 1.0)
    shape = np.exp(found[0])
    chances = -np.expm1(-np.exp(shape * (np.log(grid)[None, :] - (now @ found[1:])[:, None])))
    return Foretold(chances[:, -1], None, _median_within(grid, chances))


def rfm_score(journal: Journal, cut: int, days: int) -> Foretold:
    """Shares that bought again by sum of RFM steps, at the last snapshot whose horizon is over; spending goes on."""
    state = state_at(journal, cut)
    learned = rules.learn_rules(journal, cut, HORIZON)
    return Foretold(learned.by_rfm(state), rules.goes_on(state, days), np.full(len(state.customer), learned.wait))


def silent(journal: Journal, cut: int, days: int) -> Foretold:
    """Shares of those silent for more, and less, than twice their usual gap; the next purchase a gap after the last."""
    state = state_at(journal, cut)
    due = np.maximum(state.usual_gap - state.silence, 0.5)
    return Foretold(rules.learn_rules(journal, cut, HORIZON).by_gap(state), None, due)


def _snapshots(journal: Journal, cut: int) -> Iterator[tuple[State, FloatArray, FloatArray]]:
    known = journal.before(cut)
    for day in range(cut - HORIZON, journal.first_day + WARM_UP, -WEEK):
        state = state_at(known, day)
        yield state, first_purchase_after(known, state), spent_after(known, state, HORIZON)


def _median_within(grid: FloatArray, chances: FloatArray) -> FloatArray:
    """Return the day by which half of those who buy within the grid have bought, [N]."""
    return np.asarray(grid[(chances < 0.5 * chances[:, -1:]).sum(axis=1)])


def _gamma_gamma(journal: Journal, state: State) -> FloatArray:
    """Return each customer's expected purchase, [N], from those after her first."""
    from scipy.optimize import minimize
    from scipy.special import gammaln

    rows = (journal.day < state.as_of) & journal.bought
    who, amount = journal.customer[rows], journal.amount[rows]
    first = np.concatenate([[True], who[1:] != who[:-1]])
    spent = np.bincount(who[~first], amount[~first], minlength=len(journal.names))[state.customer]
    x = state.purchases - 1.0
    often = x > 0
    mean = np.where(often, spent / np.maximum(x, 1.0), 0.0)
    n, m = x[often], mean[often]

    def loss(logs: FloatArray) -> float:
        p, q, v = np.exp(logs)
        shape = gammaln(p * n + q) - gammaln(p * n) - gammaln(q)
        money = q * np.log(v) + (p * n - 1) * np.log(m) + p * n * np.log(n) - (p * n + q) * np.log(v + m * n)
        return -float((shape + money).mean())

    p, q, v = np.exp(minimize(loss, (0.0, 0.5, np.log(m.mean())), method="Nelder-Mead").x)
    return np.asarray(np.where(often, p * (v + x * mean) / (p * x + q - 1.0), p * v / (q - 1.0)))
