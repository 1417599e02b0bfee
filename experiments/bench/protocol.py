"""What the uplift and the bandit benchmark hand to whoever takes part. numpy only: peers import it elsewhere."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HISTORY_SPARE = 500


@dataclass(frozen=True, slots=True)
class Terms:
    """What the offers cost, arrays of shape [K], the first of them no offer.

    An order brings `margin` of its value less `discount` of its value and a `flat` amount; a `contact` costs always.
    """

    margin: float
    discount: FloatArray
    flat: FloatArray
    contact: FloatArray

    @property
    def actions(self) -> int:
        """Return K."""
        return len(self.contact)

    def profit(self, action: IntArray, bought: FloatArray, order: FloatArray) -> FloatArray:
        """Return what rows [n] brought."""
        earned: FloatArray = order * (self.margin - self.discount[action])
        return earned - bought * self.flat[action] - self.contact[action]

    def value(self, odds: FloatArray, basket: FloatArray) -> FloatArray:
        """Return the expected profit [n, K] of odds of an order and expected baskets [n, K]."""
        earned: FloatArray = odds * (basket * (self.margin - self.discount) - self.flat)
        return earned - self.contact


@dataclass(frozen=True, slots=True)
class Trial:
    """n uniformly randomised rows: customers `x` [n, D], `action` [n], whether they `bought` [n] and their `order` [n].

    An order is 0 where nothing was bought.
    """

    x: FloatArray
    action: IntArray
    bought: FloatArray
    order: FloatArray
    terms: Terms
    seed: int

    @property
    def profit(self) -> FloatArray:
        """Return what each row brought."""
        return self.terms.profit(self.action, self.bought, self.order)

    def first(self, n: int) -> Trial:
        """Return the first rows."""
        return Trial(self.x[:n], self.action[:n], self.bought[:n], self.order[:n], self.terms, self.seed)


UpliftLearner = Callable[[Trial, FloatArray], FloatArray]
"""Takes part in the uplift benchmark: from a trial to the values [n, K] of every action for other customers [n, D]."""


@dataclass(frozen=True, slots=True)
class Logged:
    """n decisions of a past trial with their outcomes; `net` [n, K] is what a repurchase was foreseen to be worth."""

    x: FloatArray
    action: IntArray
    bought: FloatArray
    payoff: FloatArray
    probability: FloatArray
    net: FloatArray


@dataclass(frozen=True, slots=True)
class Setting:
    """What a bandit policy may know before it begins.

    Action k is the offer `offers[offer[k]]` through `channels[channel[k]]`, and action 0 is to do nothing. `net` [T, K]
    is what the shop foresees a repurchase to be worth in each decision under each action, `contact` [K] what it costs
    to reach out. `history` is a past trial in the same shop, where there was one. `best_constant` is the truth's: for
    the yardstick alone.
    """

    offers: tuple[str, ...]
    channels: tuple[str, ...]
    offer: IntArray
    channel: IntArray
    width: int
    net: FloatArray
    contact: FloatArray
    history: Logged | None
    seed: int
    best_constant: int

    @property
    def actions(self) -> int:
        """Return K."""
        return len(self.contact)


class BanditPolicy(Protocol):
    """Takes part in the bandit benchmark; arrays of one entry a decision, `idx` are the decisions' numbers."""

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray | None]:
        """Return the actions for contexts `x` [n, D], and the probabilities they were drawn with, where known."""
        ...

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
        ...


def world_at(path: Path) -> Any:
    """Return the module in a file, which is run: open only worlds that you trust."""
    spec = importlib.util.spec_from_file_location(f"world_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"Expected a Python file, found {path}.")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    return module


def terms_of(world: Any) -> Terms:
    """Return the terms of an uplift world."""
    return Terms(
        margin=float(world.MARGIN),
        discount=np.asarray(world.DISC, float),
        flat=np.asarray(world.FLAT, float),
        contact=np.asarray(world.CONTACT, float),
    )


def setting_of(world: Any, env: dict[str, Any], history: Logged | None) -> Setting:
    """Return what policies may know of an environment of a bandit world."""
    return Setting(
        offers=tuple(world.OFFERS),
        channels=tuple(world.CHANNELS),
        offer=np.asarray(world.A_O),
        channel=np.asarray(world.A_C),
        width=env["X"].shape[1],
        net=env["net_hat"],
        contact=np.asarray(env["send"], float),
        history=history,
        seed=int(env["seed"]),
        best_constant=int(env["mu"].mean(axis=0).argmax()),
    )


def past_trial(world: Any, *, seed: int, decisions: int, after: int) -> Logged:
    """Return a uniformly randomised trial with the environment's own effects, on customers of its own.

    A world draws its effects before its customers, so an environment that is longer by the trial has the same effects;
    the trial is its end, which no run of `after` decisions sees, and its outcomes do not wait.
    """
    total = after + decisions + HISTORY_SPARE
    env = world.make_env(seed, total, False, 0.0)
    tail = {key: value[after:] if np.ndim(value) and len(value) == total else value for key, value in env.items()}
    tail["T"] = decisions + HISTORY_SPARE
    recorder = _Recorder(actions=env["mu"].shape[1], seed=seed)
    world.run(recorder, tail, "delay")
    x, action, bought, payoff, probability, idx = (np.concatenate(part)[:decisions] for part in recorder.parts)
    return Logged(x, action, bought.astype(float), payoff, probability, tail["net_hat"][idx])


class _Recorder:
    """Acts uniformly at random and keeps everything that comes back."""

    def __init__(self, *, actions: int, seed: int) -> None:
        self.actions = actions
        self.parts: tuple[list[Any], ...] = ([], [], [], [], [], [])
        self._rng = np.random.default_rng([seed, 4711])

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray]:
        return self._rng.integers(self.actions, size=len(idx)), np.full(len(idx), 1.0 / self.actions)

    def update(self, *arrived: Any) -> None:
        for part, values in zip(self.parts, arrived, strict=True):
            part.append(values)


def entry(name: str) -> Callable[..., Any]:
    """Return the function that `module:function` names."""
    module, _, function = name.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
