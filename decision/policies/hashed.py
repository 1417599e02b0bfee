"""A linear belief over actions that nobody knows beforehand: their features crossed with the context's, hashed.

Weinberger et al., "Feature hashing for large scale multitask learning" (2009). An action's score is the log-odds of a
reward, on the belief of `policies.posterior`; rewards in [-1, 1] enter as shares of a success.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from decision.policies.posterior import Posterior
from decision.records import FloatArray
from decision.stages.ranking import RankAction, facts

WEIGHTS = 512
PRIOR_SD = 0.5
_MIX = np.uint64(0x9E3779B97F4A7C15)
Hashes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class RankModel:
    """What has been learned of the caller's actions; `version` counts the rounds of learning."""

    posterior: Posterior = field(default_factory=lambda: Posterior.prior(np.full(WEIGHTS, PRIOR_SD**2)))
    version: int = 0

    def scores(self, context: Sequence[object], actions: Sequence[RankAction]) -> FloatArray:
        """Return the mean log-odds of a reward for each of K actions."""
        return np.asarray(design(context, actions) @ self.posterior.mean)


def design(context: Sequence[object], actions: Sequence[RankAction]) -> FloatArray:
    """Return the features [K, WEIGHTS] of actions in a context."""
    of_context, by = _hashed(facts(context), one="")
    shared = _table(of_context, by)
    rows = []
    for action in actions:
        own, weight = _hashed(facts(action.features), one=f"#{action.action_id}")
        crossed = (own[:, None] * _MIX ^ of_context[None, :]) * _MIX
        rows.append(shared + _table(crossed.ravel(), np.outer(weight, by).ravel()))
    return np.array(rows)


def _hashed(found: Mapping[str, float], *, one: str) -> tuple[Hashes, FloatArray]:
    """Return hashes and numbers of features, with `one` among them, which every row has at 1.

    The others share a length of about 1, so that it does not matter how many there are.
    """
    names = (one, *found)
    digests = b"".join(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest() for name in names)
    values = np.array([1.0, *found.values()])
    values[1:] /= np.sqrt(max(len(found), 1))
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64), values


def _table(hashes: Hashes, values: FloatArray) -> FloatArray:
    """Return the sums [WEIGHTS] of values at their places; a sign by hash makes collisions cancel on average."""
    signs = np.where(hashes >> np.uint64(63), 1.0, -1.0)
    places = ((hashes >> np.uint64(20)) % np.uint64(WEIGHTS)).astype(np.int64)
    return np.bincount(places, weights=signs * values, minlength=WEIGHTS).astype(np.float64)
