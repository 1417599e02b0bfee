"""The policy tree of a training run: grown on one half of the customers, every figure measured on the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.policies.action_features import ActionFeatures
from decision.programme.model import Programme
from decision.records import FloatArray, IntArray, action_named
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from experiments.learners.base import Learner
from experiments.off_policy import Estimate, folds_by_customer
from experiments.policy_tree import (
    SMALLEST_SHARE,
    BoolArray,
    Condition,
    Node,
    answers_to,
    choose_leaves,
    conditions_of,
    grow,
)
from experiments.selection import Candidate, cross_fit
from experiments.uplift_metrics.clusters import clustered_mean
from experiments.uplift_metrics.scores import robust_scores
from experiments.wording import path_words

FEWEST_DECISIONS = 400
FEWEST_IN_A_LEAF = 50


@dataclass(frozen=True, slots=True)
class Leaf:
    """Who (`path`, from the root), gets which action, what share they are, and the gain per decision over control."""

    path: tuple[tuple[Condition, bool], ...]
    action_id: str
    share: float
    gain: Estimate

    @property
    def who(self) -> str:
        """Return who it is in words."""
        return path_words(self.path)


@dataclass(frozen=True, slots=True)
class PolicyTree:
    """The tree shown, with its leaves; and what such trees are worth per decision, in currency units.

    Two trees are grown, one on each half of the customers, and each is judged on the half it has not seen: `value`,
    `full_model`, `best_constant` (the single action that was best on the other half) and the paired differences `lost`
    (full model less tree) and `gained` (tree less best constant) are over both. The tree shown is the first, and its
    leaves are measured on the second half. `grown_on` says what: predictions, or doubly robust scores.
    """

    conditions: tuple[Condition, ...]
    root: Node
    actions: tuple[str, ...]
    leaves: tuple[Leaf, ...]
    grown_on: str
    value: Estimate
    full_model: Estimate
    best_constant: Estimate
    lost: Estimate
    gained: Estimate

    def metrics(self) -> dict[str, float]:
        """Return value, loss against the full model and gain over one action for everybody, for MLflow."""
        found: dict[str, float] = {"policy_tree/leaves": float(len(self.leaves))}
        for name, one in (("value", self.value), ("lost", self.lost), ("gained", self.gained)):
            ends = {"": one.value, "_low": one.low, "_high": one.high}
            found |= {f"policy_tree/{name}{end}": at for end, at in ends.items() if math.isfinite(at)}
        return found

    def against_full_model(self) -> str:
        """Return what the rules lose against the full model, or earn more than it, with its interval."""
        lost = self.lost
        if lost.value < 0.0:
            return f"the rules earn {-lost.value:.2f} [{-lost.high:.2f}, {-lost.low:.2f}] more"
        return f"the rules lose {lost.value:.2f} [{lost.low:.2f}, {lost.high:.2f}]"

    def sentences(self, unit: str) -> list[str]:
        """Return the tree as lines that can be read aloud; amounts in `unit`."""
        lines = [
            f"{number}. if {leaf.who}: {leaf.action_id}, {100 * leaf.share:.0f} % of decisions, "
            f"{leaf.gain.value:+.2f} {unit} per decision [{leaf.gain.low:+.2f}, {leaf.gain.high:+.2f}]"
            for number, leaf in enumerate(self.leaves, start=1)
        ]
        return [
            *lines,
            "Gains are against doing nothing, with 95 % intervals, on customers the tree was not grown on.",
            f"Trees like this one earn {_interval(self.value, unit)}, the full model "
            f"{_interval(self.full_model, unit)}: {self.against_full_model()}.",
            f"Against one action for everybody ({_interval(self.best_constant, unit)}) it gains "
            f"{_interval(self.gained, unit)}.",
        ]


def _interval(found: Estimate, unit: str) -> str:
    return f"{found.value:.2f} {unit} [{found.low:.2f}, {found.high:.2f}]"


def policy_tree(
    data: Dataset, chosen: Candidate, programme: Programme, learners: Mapping[str, Learner], *, seed: int
) -> PolicyTree:
    """Grow and judge the tree that stands for a chosen learner; `learners` holds just that one, by its name.

    The learner is cross-fitted anew inside each half, so that nothing a tree grows on has seen those who judge it.

    Raises
    ------
    NotEnoughData : fewer than 400 decisions, or a half on which the learner can't be fitted.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

    if len(data) < FEWEST_DECISIONS:
        raise NotEnoughData(f"A policy tree needs {FEWEST_DECISIONS} decisions, found {len(data)}.", hint="Wait.")
    # Many small products: threads of the linear algebra wait for each other, on a busy machine for minutes.
    with threadpool_limits(limits=1):
        return _policy_tree(data, chosen, programme, learners, seed=seed)


def _policy_tree(
    data: Dataset, chosen: Candidate, programme: Programme, learners: Mapping[str, Learner], *, seed: int
) -> PolicyTree:
    contexts = data.contexts
    conditions = conditions_of(contexts)
    answers, customers = answers_to(conditions, contexts), data.customers
    scores = scores_of(data, chosen.value)
    half = folds_by_customer(customers, seed=seed, folds=2)
    given, constant = np.zeros(len(data), dtype=np.int64), np.zeros(len(data), dtype=np.int64)
    shown: list[tuple[Node, str]] = []
    for h in (0, 1):
        inside = half == h
        root, grown_on, best = _grown(data.where(inside), answers[inside], programme, learners, seed=seed)
        given[~inside], constant[~inside] = root.assign(answers[~inside]), best
        shown.append((root, grown_on))
    rows, pick = np.arange(len(data)), chosen.value.argmax(axis=1)
    tree, full, same = scores[rows, given], scores[rows, pick], scores[rows, constant]
    judges = half == 1
    return PolicyTree(
        conditions=tuple(conditions),
        root=shown[0][0],
        actions=data.catalogue,
        leaves=_leaves(shown[0][0], conditions, data.where(judges), answers[judges], scores[judges]),
        grown_on=shown[0][1],
        value=clustered_mean(tree, customers),
        full_model=clustered_mean(full, customers),
        best_constant=clustered_mean(same, customers),
        lost=clustered_mean(full - tree, customers),
        gained=clustered_mean(tree - same, customers),
    )


def scores_of(data: Dataset, value: FloatArray) -> FloatArray:
    """Return doubly robust scores [n, K] of the value, given out-of-fold predictions of it [n, K]."""
    return robust_scores(data.value, data.action, data.propensity, value, data.allowed)


def _grown(
    part: Dataset, answers: BoolArray, programme: Programme, learners: Mapping[str, Learner], *, seed: int
) -> tuple[Node, str, int]:
    """Return a tree, what it was grown on, and the best single action, all from one half of the customers.

    The model's predictions are quieter than doubly robust scores, which divide by propensities: with many actions a
    tree on scores chases noise. It is grown on predictions, unless one on scores beats it by two standard errors on
    folds that neither has seen.
    """
    encoder = fit_encoder(part.contexts)
    x = encode_all(encoder, part.contexts)
    features = ActionFeatures([action_named(a) for a in part.catalogue], encoder.width)
    found = cross_fit(part, x, features, programme, folds=2, repeats=1, seed=seed, learners=learners)[0]
    scores = scores_of(part, found.value)
    predictions = np.where(part.allowed, found.value, found.value[:, :1])
    fold = folds_by_customer(part.customers, seed=seed, folds=2)
    fewest = max(FEWEST_IN_A_LEAF, round(SMALLEST_SHARE * len(part)))
    rows = np.arange(len(part))
    by_model, of_model = choose_leaves(answers, predictions, predictions, fold, fewest=fewest)
    by_scores, of_scores = choose_leaves(answers, scores, scores, fold, fewest=fewest)
    lead = clustered_mean(scores[rows, of_scores] - scores[rows, of_model], part.customers)
    on_scores = lead.value > 2.0 * lead.standard_error
    trees = grow(answers, scores if on_scores else predictions, fewest=fewest)
    tree = trees[(by_scores if on_scores else by_model) - 1]
    return tree, "doubly robust scores" if on_scores else "predictions", int(scores.mean(axis=0).argmax())


def _leaves(
    root: Node,
    conditions: list[Condition],
    judges: Dataset,
    answers: BoolArray,
    scores: FloatArray,
) -> tuple[Leaf, ...]:
    place: IntArray = root.leaf_of(answers)
    found = []
    for number, (path, leaf) in enumerate(root.leaves()):
        inside = place == number
        gain = scores[inside, leaf.action] - scores[inside, 0]
        found.append(
            Leaf(
                path=tuple((conditions[c], answer) for c, answer in path),
                action_id=judges.catalogue[leaf.action],
                share=float(inside.mean()),
                gain=clustered_mean(gain, judges.customers[inside]),
            )
        )
    return tuple(found)
