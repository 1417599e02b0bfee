"""The logged rounds that every off-policy estimator reads, validated once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

ROW_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Rounds:
    """Logged decisions together with the policy to be valued on them.

    Parameters
    ----------
    action : int[n], the logged action of each round, 0 <= action < K.
    reward : float[n], the matured reward of each round, in one unit (money, or orders).
    propensity : float[n], in (0, 1]: the logged probability of the logged action.
    target : float[n, K], the target policy's probabilities; each row sums to 1.
    q_hat : float[n, K] or None, a reward model's out-of-fold predictions, in the unit of `reward`.

    Raises
    ------
    InvalidInput : a shape, type or value is not as above; the message names the first such round.
    """

    action: IntArray
    reward: FloatArray
    propensity: FloatArray
    target: FloatArray
    q_hat: FloatArray | None = None

    def __post_init__(self) -> None:
        action = np.asarray(self.action)
        if action.ndim != 1 or len(action) == 0 or not np.issubdtype(action.dtype, np.integer):
            raise InvalidInput(
                f"action must be whole numbers of shape [n], n >= 1, found {action.dtype} of {action.shape}.",
                hint="Number the actions 0 to K-1 and leave out an empty log.",
            )
        n = len(action)
        target = _floats("target", self.target, (n, None))
        self._set("action", action.astype(np.int64, copy=False))
        self._set("reward", _floats("reward", self.reward, (n,)))
        self._set("propensity", _floats("propensity", self.propensity, (n,)))
        self._set("target", target)
        _refuse_infinite("reward", self.reward)
        _refuse_infinite("propensity", self.propensity)
        if self.q_hat is not None:
            self._set("q_hat", _floats("q_hat", self.q_hat, target.shape))
            if not np.isfinite(self.q_hat @ np.ones(target.shape[1])).all():
                _refuse_infinite("q_hat", self.q_hat)
        self._check_values()

    def _set(self, name: str, value: NDArray[np.generic]) -> None:
        view = value.view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)

    def _check_values(self) -> None:
        n_actions = self.target.shape[1]
        # One pass each over everything; rounds are looked at singly only where something is wrong.
        if self.action.min() < 0 or self.action.max() >= n_actions:
            _refuse(
                (self.action < 0) | (self.action >= n_actions),
                f"action must lie in 0..{n_actions - 1}, the columns of target",
                self.action,
                "Give target a column for every action in the log.",
            )
        if self.propensity.min() <= 0 or self.propensity.max() > 1:
            _refuse(
                (self.propensity <= 0) | (self.propensity > 1),
                "propensity must lie in (0, 1]",
                self.propensity,
                "Use the propensity that was logged with the decision; a round without one can't be used.",
            )
        sums = self.target @ np.ones(n_actions)
        off = np.abs(sums - 1)
        if not off.max() <= ROW_SUM_TOLERANCE:
            _refuse_infinite("target", self.target)
        if self.target.min() < 0:
            lowest = self.target.min(axis=1)
            _refuse(
                lowest < 0,
                "target must have no negative probability",
                lowest,
                "Give the target policy's distribution over actions, not its values.",
            )
        _refuse(
            np.asarray(off > ROW_SUM_TOLERANCE),
            f"each row of target must sum to 1 within {ROW_SUM_TOLERANCE:g}",
            sums,
            "Give actions that were not allowed probability 0 and normalise over the rest.",
        )

    def __len__(self) -> int:
        return len(self.action)

    @property
    def n_actions(self) -> int:
        """K, the number of actions."""
        return int(self.target.shape[1])

    @cached_property
    def weight(self) -> FloatArray:
        """float[n], the importance weight: target probability of the logged action / propensity."""
        return self.of_logged(self.target) / self.propensity

    @cached_property
    def _expected(self) -> FloatArray:
        expected: FloatArray = np.einsum("ij,ij->i", self.target, self.require_q_hat("the direct method"))
        return expected

    @cached_property
    def _residual(self) -> FloatArray:
        return self.reward - self.of_logged(self.require_q_hat("a doubly robust estimator"))

    def of_logged(self, table: FloatArray) -> FloatArray:
        """float[n], the column of float[n, K] `table` that belongs to each logged action."""
        return np.asarray(table.take(self._place) if table.flags.c_contiguous else table[self._row, self.action])

    @cached_property
    def _row(self) -> IntArray:
        return np.arange(len(self))

    @cached_property
    def _place(self) -> IntArray:
        place: IntArray = self._row * self.n_actions + self.action
        return place

    def require_q_hat(self, reader: str) -> FloatArray:
        """float[n, K] `q_hat`; raises InvalidInput when there is none."""
        if self.q_hat is None:
            raise InvalidInput(
                f"{reader} needs q_hat, found none.",
                hint="Predict it out of fold with off_policy.reward_model.cross_fit, or use ips or snips.",
            )
        return self.q_hat

    def expected(self, reader: str) -> FloatArray:
        """float[n], sum_a target(a) q_hat(a): what the reward model expects of the target policy."""
        self.require_q_hat(reader)
        return self._expected

    def residual(self, reader: str) -> FloatArray:
        """float[n], the logged reward less the reward model's prediction for the logged action."""
        self.require_q_hat(reader)
        return self._residual

    def with_target(self, target: FloatArray) -> Rounds:
        """The same log with another target policy, float[n, K]."""
        return replace(self, target=target)

    def take(self, index: IntArray) -> Rounds:
        """The rounds at int[m] `index`, in that order."""
        return Rounds(
            action=self.action[index],
            reward=self.reward[index],
            propensity=self.propensity[index],
            target=self.target[index],
            q_hat=None if self.q_hat is None else self.q_hat[index],
        )


def beside(*columns: FloatArray) -> FloatArray:
    """float[n, p] of p columns float[n], each of them contiguous in memory."""
    return np.stack(columns).T


def _floats(name: str, value: FloatArray, shape: tuple[int | None, ...]) -> FloatArray:
    array = np.asarray(value, dtype=np.float64)
    fits = array.ndim == len(shape) and all(
        want is None or want == have for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("K" if size is None else str(size) for size in shape)
        raise InvalidInput(
            f"{name} must have shape [{wanted}], found {list(array.shape)}.",
            hint="Give one row for every round and, in a table, one column for every action.",
        )
    return array


def _refuse_infinite(name: str, array: FloatArray) -> None:
    if not np.isfinite(array).all():
        largest = np.abs(array).reshape(len(array), -1).max(axis=1)
        _refuse(
            ~np.isfinite(largest),
            f"{name} must be finite",
            largest,
            "Leave out rounds whose values are missing; a reward that has not matured is not a 0.",
        )


def _refuse(bad: NDArray[np.bool_], expected: str, found: NDArray[np.generic], hint: str) -> None:
    if bad.any():
        first = int(bad.argmax())
        count = int(bad.sum())
        raise InvalidInput(f"{expected}, found {found[first]} in round {first} ({count} such).", hint=hint)
