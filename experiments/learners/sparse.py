"""Logistic regression on blocks of action x context in which most effects are near nothing and a few are large.

Each weight has a Student-t prior, so that the many small effects are shrunk to nothing and the few large ones hardly
at all; how large effects are in each block is learned from the data. The mode is found by expectation
maximisation over the prior's variances: Tipping, "Sparse Bayesian learning and the relevance vector machine" (2001),
with the second moments of Laplace's method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.lapack import dpotri, dtrtri

from decision.policies.posterior import logit, sigmoid
from decision.records import FloatArray, IntArray

ROUNDS = 8
STEPS = 6
CLOSE = 1e-3
# The curvature touches every row and hardly changes: it is made anew once weights have moved this far, in log-odds.
FAR = 0.2
# A group's own weights outvote the scale that it starts from once they are more than this many.
SCALE_PRIOR = 4.0
# Degrees of freedom of the prior: far heavier tails than the normal's.
TAILS = 0.1
# Rows at a time: the columns weighted by their curvature never exist for all rows at once.
CHUNK = 16_384


@dataclass(frozen=True, slots=True)
class Blocks:
    """What weights there are: [B, F], for B blocks of actions and F columns of contexts.

    `codes` [K, B] says which blocks an action is in: its log-odds are `codes[k] @ weights @ columns`.
    `scale` [B, F] is the prior's scale of each weight, 0 where there is no such weight. `group` [B, F] numbers the
    groups that learn their scale together, -1 for weights with a normal prior of fixed scale.
    """

    codes: FloatArray
    scale: FloatArray
    group: IntArray


def fit_sparse(
    columns: FloatArray, action: IntArray, outcome: FloatArray, blocks: Blocks, *, rounds: int = ROUNDS
) -> tuple[FloatArray, FloatArray]:
    """Return weights [B, F] and their covariance [P, P], over the P weights that exist in the order of `scale`.

    Parameters
    ----------
    columns : [n, F], the first all 1.
    action : [n] places in 0..K - 1.
    outcome : [n] 0 or 1.
    rounds : how often the variances are learned; a few are enough to see which effects are large.
    """
    here = blocks.scale > 0.0
    group, scale = blocks.group[here], blocks.scale[here]
    numbers = np.unique(group[group >= 0])
    start = {g: scale[group == g][0] for g in numbers}
    current, variance = dict(start), scale**2
    diagonal = np.diag_indices(len(scale))
    rows = [np.flatnonzero(action == k) for k in range(len(blocks.codes))]
    parts = [(columns[i], outcome[i]) for i in rows]
    weights = np.zeros(blocks.scale.shape)
    weights[0, 0] = logit(outcome.mean())
    moved = np.inf
    factor: Any = None
    for _ in range(rounds):
        factor = None
        for _ in range(STEPS):
            if moved > FAR:
                curvature, moved, factor = _curvature(parts, blocks.codes, weights, here), 0.0, None
            if factor is None:
                precision = curvature.copy()
                precision[diagonal] += 1.0 / variance
                factor = cho_factor(precision, lower=True, overwrite_a=True, check_finite=False)
            gradient = _gradient(parts, blocks.codes, weights, here) - weights[here] / variance
            step = cho_solve(factor, gradient, check_finite=False)
            weights[here] += step
            largest = float(np.abs(step).max())
            moved += largest
            if largest < CLOSE:
                break
        # Variances take half the time of the whole covariance, which is for the end.
        root, _ = dtrtri(factor[0], lower=True)
        second = weights[here] ** 2 + (np.tril(root) ** 2).sum(axis=0)
        for g in numbers:
            mine = group == g
            variance[mine] = (second[mine] + TAILS * current[g] ** 2) / (1.0 + TAILS)
            harmonic = 1.0 / np.mean(1.0 / variance[mine])
            n = mine.sum()
            logs = n * np.log(harmonic) + SCALE_PRIOR * np.log(start[g] ** 2)
            current[g] = float(np.exp(0.5 * logs / (n + SCALE_PRIOR)))
    lower, _ = dpotri(factor[0], lower=True)
    return weights, np.tril(lower) + np.tril(lower, -1).T


def _gradient(
    parts: list[tuple[FloatArray, FloatArray]], codes: FloatArray, weights: FloatArray, here: np.ndarray
) -> FloatArray:
    """Return the gradient [P] of the log-likelihood."""
    own = codes @ weights
    slopes = [(y - sigmoid(columns @ w)) @ columns for (columns, y), w in zip(parts, own, strict=True)]
    gradient: FloatArray = (codes.T @ np.array(slopes))[here]
    return gradient


def _curvature(
    parts: list[tuple[FloatArray, FloatArray]], codes: FloatArray, weights: FloatArray, here: np.ndarray
) -> FloatArray:
    """Return the curvature [P, P] of the log-likelihood.

    The rows of an action share its blocks, so one [F, F] product per action is all that touches the rows.
    """
    b, f = weights.shape
    grams = np.zeros((len(codes), f, f))
    for k, (columns, _) in enumerate(parts):
        own = codes[k] @ weights
        for lo in range(0, len(columns), CHUNK):
            part = columns[lo : lo + CHUNK]
            p = sigmoid(part @ own)
            # A product with its own transpose takes half the multiplications.
            root = part * np.sqrt(p * (1.0 - p))[:, None]
            grams[k] += root.T @ root
    curvature = np.zeros((b, f, b, f))
    for one in range(b):
        for two in range(one, b):
            both = codes[:, one] * codes[:, two]
            if both.any():
                curvature[one, :, two, :] = curvature[two, :, one, :] = np.tensordot(both, grams, 1)
    flat = here.ravel()
    found: FloatArray = curvature.reshape(b * f, b * f)[np.ix_(flat, flat)]
    return found
