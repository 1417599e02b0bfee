"""Parity cases: a log in .npz, and in .json what Open Bandit Pipeline answered for it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from decision.errors import UnknownName
from experiments.off_policy import ESTIMATORS, Estimator, Rounds
from experiments.off_policy.bootstrap import resampled_mean
from experiments.off_policy.clipped_dr import CLIPPED_DR, clipped_dr
from experiments.off_policy.clipped_ips import CLIPPED_IPS, clipped_ips
from experiments.off_policy.dros import DROS, dros
from experiments.off_policy.subgaussian_dr import subgaussian_dr
from experiments.off_policy.subgaussian_ips import subgaussian_ips
from experiments.off_policy.switch_dr import SWITCH_DR, switch_dr

BOOTSTRAP_SEED = 12345

PLAIN: dict[str, Estimator] = {
    "ipw": ESTIMATORS["ips"],
    "snipw": ESTIMATORS["snips"],
    "dm": ESTIMATORS["dm"],
    "dr": ESTIMATORS["dr"],
    "sndr": ESTIMATORS["sndr"],
}
TUNED: dict[str, Estimator] = {
    "ipw-tuned": CLIPPED_IPS,
    "dr-tuned": CLIPPED_DR,
    "switch-dr-tuned": SWITCH_DR,
    "dros-tuned": DROS,
}
BY_NUMBER: dict[str, Callable[[float], Estimator]] = {
    "ipw_clip": clipped_ips,
    "dr_clip": clipped_dr,
    "switch-dr_": switch_dr,
    "dros_": dros,
    "sgipw_": subgaussian_ips,
    "sgdr_": subgaussian_dr,
}
ABSOLUTE = 1e-15
"""Below this a difference from an expected 0 is rounding."""


def found_for(names: Iterable[str]) -> dict[str, Estimator]:
    """Return our estimator for each of their names, such as `snipw`, `dr_clip10` or `dros-tuned`.

    Raises
    ------
    UnknownName : a name that says nothing to us.
    """
    return {name: _named(name) for name in names}


def _named(name: str) -> Estimator:
    known = PLAIN | TUNED
    if name in known:
        return known[name]
    for prefix, make in BY_NUMBER.items():
        if name.startswith(prefix) and re.fullmatch(r"inf|[0-9.]+", name.removeprefix(prefix)):
            return make(float(name.removeprefix(prefix)))
    raise UnknownName(f"Expected an estimator such as ipw, dr_clip10 or dros-tuned, found {name}.")


@dataclass(frozen=True, eq=False)
class Case:
    """A log, and everything that the peer answered for it."""

    name: str
    rounds: Rounds
    expected: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> Case:
        """Read a case from its .json and the .npz beside it."""
        with np.load(path.with_suffix(".npz")) as file:
            log = {name: file[name] for name in file.files}
        rounds = Rounds(log["action"], log["reward"], log["pscore"], log["pi_e"], log["q_hat"])
        return cls(path.stem, rounds, json.loads(path.read_text(encoding="utf-8")))

    def interval(self, name: str) -> tuple[float, float]:
        """Return our bootstrap interval by the peer's recipe, for one of its estimators."""
        estimator = _named(name)
        settled = estimator.settled(self.rounds)
        recipe = self.expected["bootstrap"]
        values = settled.contributions(self.rounds)
        return resampled_mean(values, seed=recipe["seed"], replicates=recipe["n"], level=0.95)

    def errors(self) -> Iterator[tuple[str, str, float]]:
        """Yield what is compared, the estimator's name and the relative error; infinite where a choice differs."""
        for name, value in self.expected["values"].items():
            yield "value", name, relative_error(_named(name).estimate(self.rounds).value, value)
        for name, ends in self.expected.get("ci", {}).items():
            yield "interval", name, max(map(relative_error, self.interval(name), ends))
        for name, chosen in self.expected.get("tuned_lambda", {}).items():
            slope = TUNED[name]
            same = slope.choose(slope.sums(self.rounds)) == float(chosen)  # type: ignore[attr-defined]
            yield "choice", name, 0.0 if same else math.inf


def relative_error(found: float, expected: float) -> float:
    """Return |found - expected| / |expected|; where 0 is expected, 0 for a difference by rounding only."""
    error = abs(found - expected)
    if expected:
        return error / abs(expected)
    return 0.0 if error <= ABSOLUTE else math.inf
