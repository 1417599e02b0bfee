"""An online shop over some weeks: four offers through three channels or nothing, outcomes late. numpy only.

`make_env(seed, T, shift, mean_delay)` draws a shop: how its offers and channels work comes first and does not depend on
T, customers and their luck come after. `run(policy, env, mode)` lets a policy decide: `delay` in batches of 40
with what has arrived by then, `daily` once for each day of 400. Regret is against the action of highest expected
payoff, in % of what acting uniformly at random loses; policies of one seed see the same customers and the same luck.

Effects fade where customers come back anyway, reach a channel only whom it reaches, and turn round for the weary.
The base rate moves with the weekday and drifts, which is nobody's doing. With `shift`, offers wear out, and one that
was weak comes into fashion, half way through.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

OFFERS = ("none", "percent_off", "gift", "points", "free_delivery")
CHANNELS = ("none", "mail", "message", "app")
A_O = np.array([0, *np.repeat([1, 2, 3, 4], 3)])
A_C = np.array([0, *np.tile([1, 2, 3], 4)])
MARGIN = 0.40
REDEEMED = np.array([0.0, 0.9, 0.7, 0.6, 0.95])
SHARE = np.array([0.0, 0.18, 0.0, 0.06, 0.0])
FLAT = np.array([0.0, 0.0, 4.0, 0.0, 4.5])
SEND = np.array([0.0, 0.02, 0.10, 0.01])
BASE_RATE = 0.10
WIDTH = 14
BATCH, DAY = 40, 400
HABIT, THRIFT, REACH_MAIL, REACH_APP, WEARY = 0, 1, 2, 3, 4
"""Places of the columns that the laws name: the first are standardised numbers, the rest are 0 or 1."""


class Policy(Protocol):
    """What is let decide."""

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray | None]:
        """Return actions and, where known, their probabilities."""
        ...

    def update(  # noqa: PLR0917 - by position, as in other worlds
        self, x: FloatArray, a: IntArray, y: IntArray, pay: FloatArray, prob: FloatArray, idx: IntArray
    ) -> None:
        """Learn from outcomes."""
        ...


def make_env(seed: int, T: int = 50_000, shift: bool = False, mean_delay: float = 500.0) -> dict[str, Any]:
    """Return a shop and its T customers; arrays have T rows, `mu` [T, K] is the expected payoff."""
    shop, crowd, luck = (np.random.default_rng([seed, stream]) for stream in (101, 102, 103))
    tastes = _tastes(shop)
    worn = _worn(tastes, shop)
    base = np.concatenate([shop.normal(0.0, 0.2, 8), shop.normal(0.0, 0.3, WIDTH - 8)])
    x = _customers(crowd, T)
    z = x @ base + 0.35 * np.maximum(x[:, HABIT], 0.0) + _calendar(T)
    z += _level(z)
    before, after = (_odds(x, z, law) for law in (tastes, worn if shift else tastes))
    p = np.where(np.arange(T)[:, None] < T // 2, before, after)
    basket = np.exp(3.9 + 0.3 * x[:, 5] - 0.1 * x[:, THRIFT])
    # The shop knows a customer's past baskets, not her next one.
    guess = basket * np.exp(crowd.normal(0.0, 0.15, T))
    return {
        "seed": seed,
        "T": T,
        "X": x,
        "P": p,
        "mu": p * _net(basket) - SEND[A_C],
        "net_hat": _net(guess),
        "send": SEND[A_C],
        "basket": basket,
        "luck": luck.random(T),
        "redeems": luck.random(T),
        "size": luck.gamma(4.0, 0.25, T),
        "delay": _delays(luck, T, mean_delay),
    }


def run(policy: Policy, env: dict[str, Any], mode: str = "delay") -> dict[str, Any]:
    """Return the regret of a policy, `pct`, and its course in ten steps, `curve`. `mode` is `delay` or `daily`."""
    n, mu = env["T"], env["mu"]
    arrives = np.arange(n) + 1 + np.ceil(env["delay"]).astype(int)
    queue = np.argsort(arrives, kind="stable")
    arrived_at = arrives[queue]
    action, bought = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    probability, pay = np.full(n, np.nan), np.zeros(n)
    told = 0
    for start in range(0, n, BATCH if mode == "delay" else DAY):
        idx = np.arange(start, min(start + (BATCH if mode == "delay" else DAY), n))
        until = int(np.searchsorted(arrived_at, start, side="right"))
        if until > told:
            done = queue[told:until]
            policy.update(env["X"][done], action[done], bought[done], pay[done], probability[done], done)
            told = until
        action[idx], known = policy.act(env["X"][idx], idx)
        if known is not None:
            probability[idx] = known
        bought[idx] = env["luck"][idx] < env["P"][idx, action[idx]]
        pay[idx] = payoff(env, idx, action[idx], bought[idx])
    lost = mu.max(axis=1) - mu[np.arange(n), action]
    lost_at_random = mu.max(axis=1) - mu.mean(axis=1)
    share = 100.0 * lost.cumsum() / lost_at_random.cumsum()
    return {
        "seed": env["seed"],
        "regret": float(lost.sum()),
        "random_regret": float(lost_at_random.sum()),
        "pct": float(share[-1]),
        "curve": [float(share[n * step // 10 - 1]) for step in range(1, 11)],
    }


def payoff(env: dict[str, Any], idx: IntArray, action: IntArray, bought: IntArray) -> FloatArray:
    """Return what came of decisions: margin less what was redeemed, less the message."""
    offer = A_O[action]
    order = env["basket"][idx] * env["size"][idx]
    cost = (env["redeems"][idx] < REDEEMED[offer]) * (SHARE[offer] * order + FLAT[offer])
    earned: FloatArray = bought * (MARGIN * order - cost) - SEND[A_C[action]]
    return earned


def _net(basket: FloatArray) -> FloatArray:
    """Return what a repurchase is worth under every action, [n, K]."""
    net: FloatArray = MARGIN * basket[:, None] - REDEEMED[A_O] * (SHARE[A_O] * basket[:, None] + FLAT[A_O])
    return net


def _customers(rng: np.random.Generator, n: int) -> FloatArray:
    common = rng.standard_normal((n, 1))
    numbers = 0.8 * rng.standard_normal((n, 8)) + 0.6 * common * rng.choice([-1.0, 1.0], 8)
    numbers[:, 6] = np.clip(np.expm1(0.7 * numbers[:, 6]), -1.5, 4.0)
    flags = rng.random((n, WIDTH - 8)) < [0.5, 0.35, 0.3, 0.2, 0.15, 0.1]
    return np.hstack([numbers, flags])


def _tastes(rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return how offers [5] and channels [4] work, and for whom [., WIDTH]: a few columns each matter."""
    offers, channels = (_few(rng, len(names), spread) for names, spread in ((OFFERS, 0.32), (CHANNELS, 0.18)))
    offers[1, THRIFT] += 0.35
    lift = np.array([0.0, 0.48, 0.36, 0.12, 0.26]) + np.append(0.0, rng.normal(0.0, 0.08, 4))
    together = rng.normal(0.0, 0.10, (len(OFFERS), len(CHANNELS)))
    together[0] = together[:, 0] = offers[0] = channels[0] = 0.0
    reach = np.array([0.0, 0.02, 0.12, 0.0]) + np.append(0.0, rng.normal(0.0, 0.04, 3))
    return {"offers": offers, "channels": channels, "lift": lift, "reach": reach, "together": together}


def _few(rng: np.random.Generator, rows: int, spread: float) -> FloatArray:
    weights: FloatArray = rng.normal(0.0, spread, (rows, WIDTH)) * (rng.random((rows, WIDTH)) < 0.3)
    return weights


def _worn(tastes: dict[str, FloatArray], rng: np.random.Generator) -> dict[str, FloatArray]:
    """Return tastes after offers wore out: the strongest halves, a weak one comes up, and for others than before."""
    lift = tastes["lift"].copy()
    lift[1:] = np.sort(lift[1:])[::-1][[2, 3, 0, 1]] * 0.9
    offers = np.where(rng.random(tastes["offers"].shape) < 0.5, tastes["offers"], _few(rng, len(OFFERS), 0.32))
    offers[0] = 0.0
    return {**tastes, "lift": lift, "offers": offers}


def _odds(x: FloatArray, z: FloatArray, law: dict[str, FloatArray]) -> FloatArray:
    """Return the odds of a repurchase [n, K] from log-odds without contact [n]."""
    offered = law["lift"] + x @ law["offers"].T
    reached = law["reach"] + x @ law["channels"].T
    reached[:, 1] += 0.25 * np.tanh(x[:, REACH_MAIL])
    reached[:, 3] += 0.45 * (x[:, REACH_APP] > 0.4) - 0.25
    effect = offered[:, A_O] + reached[:, A_C] + law["together"][A_O, A_C]
    fades = 1.0 / (1.0 + np.exp(1.5 * (z + 1.2)))
    effect = np.where(effect > 0.0, effect * fades[:, None], effect)
    effect[:, 1:] -= 0.45 * (x[:, WEARY] > 1.1)[:, None]
    effect[:, 0] = 0.0
    odds: FloatArray = 1.0 / (1.0 + np.exp(-(z[:, None] + effect)))
    return odds


def _calendar(n: int) -> FloatArray:
    """Return how log-odds move with the day: weekends, and a slow wave."""
    day = np.arange(n) // DAY
    return 0.15 * (day % 7 >= 5) + 0.12 * np.sin(day / 23.0)


def _level(z: FloatArray) -> float:
    """Return the intercept under which the odds without contact average `BASE_RATE`."""
    low, high = -12.0, 6.0
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (low, middle) if (1.0 / (1.0 + np.exp(-(z + middle)))).mean() > BASE_RATE else (middle, high)
    return (low + high) / 2.0


def _delays(rng: np.random.Generator, n: int, mean: float) -> FloatArray:
    """Return how many decisions later outcomes arrive: most soon, one in five much later; `mean` on average."""
    late = rng.random(n) < 0.2
    waits: FloatArray = rng.exponential(1.0, n) * np.where(late, 3.0, 0.5) * mean
    return waits
