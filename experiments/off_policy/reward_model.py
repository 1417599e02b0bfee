"""q_hat, cross-fitted: no round is predicted by a model that has seen its customer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, NotEnoughData
from experiments.off_policy.rounds import FloatArray, IntArray

Predict = Callable[[FloatArray], FloatArray]
"""float[m, d] features -> float[m, K], the reward expected of every action."""

Fit = Callable[[FloatArray, IntArray, FloatArray, int], Predict]
"""(features float[n, d], action int[n], reward float[n], K) -> Predict."""


def folds_by_customer(customer: NDArray[np.generic], *, seed: int, folds: int = 5) -> IntArray:
    """int[n] in 0..folds-1, the same for all rounds of a customer, whatever the order of rounds.

    Raises InvalidInput for fewer than 2 folds, NotEnoughData for fewer customers than folds.
    """
    if folds < 2:
        raise InvalidInput(f"Cross-fitting needs at least 2 folds, found {folds}.", hint="5 will do.")
    ids, member = np.unique(customer, return_inverse=True)
    if len(ids) < folds:
        raise NotEnoughData(
            f"{folds} folds need at least {folds} customers, found {len(ids)}.",
            hint="Use fewer folds or a longer log.",
        )
    fold: IntArray = (np.random.default_rng(seed).permutation(len(ids)) % folds)[member].astype(np.int64)
    return fold


def cross_fit(
    features: FloatArray,
    action: IntArray,
    reward: FloatArray,
    fold: IntArray,
    *,
    n_actions: int,
    fit: Fit | None = None,
) -> FloatArray:
    """Predict every round by a model fitted on the other folds (Chernozhukov et al. 2018).

    Parameters
    ----------
    features : float[n, d], what was known at decision time.
    action, reward : int[n] and float[n], as logged.
    fold : int[n] from `folds_by_customer`.
    fit : the model to use; `ridge()` when None.

    Returns
    -------
    float[n, n_actions], in the unit of `reward`, for `Rounds.q_hat`.

    Raises
    ------
    InvalidInput : lengths differ, or there is only one fold.
    """
    if features.ndim != 2 or not len(features) == len(action) == len(reward) == len(fold):
        raise InvalidInput(
            f"features, action, reward and fold must have one row a round, found "
            f"{list(features.shape)}, {len(action)}, {len(reward)} and {len(fold)}."
        )
    names = np.unique(fold)
    if len(names) < 2:
        raise InvalidInput("fold must hold at least 2 folds, found 1.", hint="Use folds_by_customer.")
    learner = fit or ridge()
    q_hat = np.empty((len(action), n_actions))
    for name in names:
        out = fold == name
        predict = learner(features[~out], action[~out], reward[~out], n_actions)
        q_hat[out] = predict(features[out])
    return q_hat


def ridge(alpha: float = 100.0) -> Fit:
    """Ridge regression on standardised features, action one-hot and their interactions.

    What the actions share is carried by the features alone, so an action with few rounds is drawn to
    what all actions have in common, and one without any gets just that.
    """

    def fit(features: FloatArray, action: IntArray, reward: FloatArray, n_actions: int) -> Predict:
        from sklearn.linear_model import Ridge  # type: ignore[import-untyped, unused-ignore]

        from experiments.off_policy.design import Scaler, interacted

        scale = Scaler.of(features)
        regressors = interacted(scale(features), action, n_actions)
        model = Ridge(alpha=alpha, solver="sparse_cg", tol=1e-6).fit(regressors, reward)
        d = features.shape[1]
        shared, alone, crossed = np.split(np.asarray(model.coef_), [d, d + n_actions])
        slopes = shared + crossed.reshape(n_actions, d)
        offsets = float(model.intercept_) + alone
        return lambda rows: scale(rows) @ slopes.T + offsets

    return fit
