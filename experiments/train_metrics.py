"""Every figure of a training run with its definition, paper and interval, from out-of-fold predictions."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from decision.errors import NotEnoughData
from decision.money import MICROS
from decision.programme.model import Programme
from decision.records import FloatArray, IntArray
from experiments.dataset import Dataset
from experiments.off_policy import Estimate, Ips, Rounds
from experiments.selection import REFERENCE, Candidate, fold_of, greedy
from experiments.train_trials import treatment_trials
from experiments.tree_report import scores_of
from experiments.uplift_metrics.auuc import auuc
from experiments.uplift_metrics.calibration import calibration, calibration_slope
from experiments.uplift_metrics.clusters import clustered_mean
from experiments.uplift_metrics.cost_curve import share_curve
from experiments.uplift_metrics.four_groups import Segment, Thresholds, four_groups
from experiments.uplift_metrics.qini import qini
from experiments.uplift_metrics.scores import robust_scores
from experiments.uplift_metrics.trial import Trial
from experiments.uplift_metrics.uplift_at_k import uplift_at_k

INFLUENCE, BOOTSTRAP = "influence function, by customer", "bootstrap of customers"
SHARES = (0.1, 0.2, 0.3)
MANY = 500
DEFINITIONS = {
    "policy_value": "value per decision of giving each the allowed action of highest predicted value; AIPW / doubly "
    "robust (Robins et al. 1994; Dudik et al. 2011)",
    "policy_value_ips": "the same by inverse propensities alone (Horvitz and Thompson 1952)",
    "gain_over_control": "policy_value less the value of doing nothing, paired",
    "gain_over_best_constant": "policy_value less that of the best single action, paired; that action is chosen on the "
    "same data, which flatters it",
    "share_treated": "share of decisions in which the policy gives a treatment",
    "targeting_gain": "mean height of the gain curve over its diagonal, treating by predicted gain of the best "
    "treatment; RATE with Qini weights, in money (Yadlowsky et al. 2025)",
    "share_persuadable": "share of decisions predicted so; see the plot of the four groups for thresholds and bounds",
    "share_sure_thing": "see share_persuadable",
    "share_lost_cause": "see share_persuadable",
    "share_sleeping_dog": "see share_persuadable",
    "qini": "area between Radcliffe's (2007) Qini curve, per treated customer, and its diagonal, in repurchases",
    "auuc": "area under the cumulative gain curve (Gutierrez and Gerardy 2017), in repurchases per customer",
    "uplift_at": "treated less control repurchase rate among the top share by predicted uplift",
    "calibration_error": "mean |predicted - observed| uplift over deciles (after Leng and Dimmery 2024); chance alone "
    "makes it positive, its interval reaches 0 unless it is real",
    "calibration_slope": "best linear predictor of uplift given the predicted one (Chernozhukov et al. 2025): 1 is "
    "calibrated, 0 is noise",
}


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure with its 95 % interval, and how the interval was found."""

    name: str
    value: float
    low: float
    high: float
    interval: str

    @property
    def finite(self) -> bool:
        """Return whether value and interval are numbers: with one customer an interval is not."""
        return all(map(math.isfinite, (self.value, self.low, self.high)))

    @property
    def definition(self) -> str:
        """Return what the figure is, with its paper."""
        name = self.name.partition("/")[0]
        return DEFINITIONS["uplift_at" if name.startswith("uplift_at") else name]


@dataclass(frozen=True, slots=True)
class Measured:
    """Metrics in order, and by name why others are absent."""

    metrics: tuple[Metric, ...]
    absent: Mapping[str, str] = field(default_factory=dict)

    def entries(self, prefix: str = "") -> dict[str, float]:
        """Return `name`, `name_low` and `name_high` for MLflow; what isn't a finite number is left out."""
        found: dict[str, float] = {}
        for metric in self.metrics:
            if metric.finite:
                name = prefix + metric.name.replace("@", " at ")
                found |= {name: metric.value, f"{name}_low": metric.low, f"{name}_high": metric.high}
        return found


def reference_scores(data: Dataset, candidates: Sequence[Candidate]) -> FloatArray:
    """Return the doubly robust scores [n, K] by which all candidates are compared: those of the reference learner."""
    usable = [candidate for candidate in candidates if not candidate.failure]
    return scores_of(data, next((c for c in usable if c.name == REFERENCE), usable[0]).value)


def measure(data: Dataset, candidate: Candidate, scores: FloatArray, *, seed: int, replicates: int = 200) -> Measured:
    """Return all metrics of a candidate, in money over all actions and per treatment against control.

    `scores` [n, K] are doubly robust ones of the value, the same for all candidates that are compared.
    """
    customers, rows = data.customers, np.arange(len(data))
    pick = candidate.value.argmax(axis=1)
    chosen, constant = scores[rows, pick], scores[:, int(scores.mean(axis=0).argmax())]
    rounds = Rounds(data.action, data.value, data.propensity, greedy(candidate.value))
    best = best_treatment(candidate.value)
    curve = share_curve(
        candidate.value[rows, best] - candidate.value[:, 0],
        scores[rows, best] - scores[:, 0],
        customers,
        seed=seed,
        replicates=replicates,
    )
    overall = {
        "policy_value": clustered_mean(candidate.terms, customers),
        "policy_value_ips": clustered_mean(Ips().terms(rounds), customers),
        "gain_over_control": clustered_mean(chosen - scores[:, 0], customers),
        "gain_over_best_constant": clustered_mean(chosen - constant, customers),
        "share_treated": clustered_mean((pick > 0).astype(np.float64), customers),
    }
    overall |= {f"share_{s.kind.value}": s.share for s in segments_of(data, candidate)[0]}
    found = [_metric(name, estimate, INFLUENCE) for name, estimate in overall.items()]
    found.append(_metric("targeting_gain", curve.above_random, BOOTSTRAP))
    trials, absent = treatment_trials(data, candidate.odds)
    missing = dict(absent)
    for treatment, trial in trials.items():
        for metric in _of_trial(trial, missing, treatment, seed=seed, replicates=replicates):
            found.append(metric)
    return Measured(tuple(found), missing)


def by_fold(
    data: Dataset, candidate: Candidate, scores: FloatArray, *, folds: int, seed: int, replicates: int = 50
) -> list[Measured]:
    """Return the same on each fold of customers that cross-fitting used (in its first repeat)."""
    fold = fold_of(data, folds=folds, seed=seed)
    found = []
    for f in range(folds):
        inside = fold == f
        part = Candidate(
            candidate.name,
            candidate.complexity,
            candidate.odds[inside],
            candidate.value[inside],
            candidate.terms[inside],
        )
        found.append(measure(data.where(inside), part, scores[inside], seed=seed, replicates=replicates))
    return found


def best_treatment(value: FloatArray) -> IntArray:
    """Return the allowed treatment of highest value in each row of [n, K]; it may be worth less than control."""
    return np.asarray(1 + value[:, 1:].argmax(axis=1), dtype=np.int64)


def segments_of(data: Dataset, candidate: Candidate) -> tuple[tuple[Segment, ...], Thresholds]:
    """Return the four groups by repurchase under the treatment of highest value, and their thresholds."""
    rows, best = np.arange(len(data)), best_treatment(candidate.value)
    odds = np.where(data.allowed, candidate.odds, candidate.odds[:, :1])
    scores = robust_scores(data.repurchased, data.action, data.propensity, odds, data.allowed)
    thresholds = Thresholds.relative_to(float(odds[:, 0].mean()))
    pair = (scores[:, 0], scores[rows, best])
    return four_groups(odds[:, 0], odds[rows, best], pair, data.customers, thresholds=thresholds), thresholds


def costs(data: Dataset, odds: FloatArray, programme: Programme) -> tuple[FloatArray, FloatArray]:
    """Return what each action costs in each decision, [n, K]: predicted, and as doubly robust scores; in currency.

    A cost is the contact's, and that of redemptions on the orders that came, at the programme's prices of today. It is
    predicted as contact + odds of a repurchase x the action's mean cost of redemption per repurchase.
    """
    known = {action.action_id: action for action in programme.actions}
    contact = np.array([programme.contact_cost_micros(known[a]) for a in data.catalogue]) / MICROS
    redeemed = np.zeros(len(data))
    for i in np.flatnonzero(data.redeemed):
        action = known[data.catalogue[data.action[i]]]
        redeemed[i] = programme.redemption_cost_micros(action, round(data.revenue[i] * MICROS)) / MICROS
    spent = np.bincount(data.action, weights=redeemed, minlength=len(contact))
    bought = np.bincount(data.action, weights=data.repurchased, minlength=len(contact))
    predicted = contact + odds * np.divide(spent, bought, out=np.zeros_like(spent), where=bought > 0)
    actual = contact[data.action] + redeemed
    return predicted, robust_scores(actual, data.action, data.propensity, predicted, data.allowed)


def as_csv(measured: Measured, folds: list[Measured]) -> str:
    """Return a table with a row per metric, over all customers and per fold, and the absent ones with the reason."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["metric", "customers", "value", "low", "high", "interval", "definition", "absent because"])
    for where, part in [("all", measured), *((f"fold {f}", part) for f, part in enumerate(folds, start=1))]:
        for m in part.metrics:
            if m.finite:
                table.writerow([m.name, where, m.value, m.low, m.high, f"95 % by {m.interval}", m.definition, ""])
        for name, reason in part.absent.items():
            table.writerow([name, where, "", "", "", "", "", reason])
    return out.getvalue()


def _of_trial(trial: Trial, missing: dict[str, str], treatment: str, *, seed: int, replicates: int) -> Iterator[Metric]:
    for name, curve in (
        ("qini", qini(trial, seed=seed, replicates=replicates)),
        ("auuc", auuc(trial, seed=seed, replicates=replicates)),
    ):
        if name == "qini":
            ends = curve.above_random, curve.above_random_low, curve.above_random_high
        else:
            ends = curve.area, curve.area_low, curve.area_high
        yield Metric(f"{name}/{treatment}", *ends, BOOTSTRAP)
    bins = 10 if min(trial.treated.sum(), (~trial.treated).sum()) >= MANY else 5
    for share in SHARES:
        name = f"uplift_at_{100 * share:.0f}_percent/{treatment}"
        try:
            top = uplift_at_k(trial, share=share)
        except NotEnoughData as reason:
            missing[name] = str(reason)
        else:
            yield Metric(name, top.uplift, top.low, top.high, INFLUENCE)
    try:
        error = calibration(trial, bins=bins)
    except NotEnoughData as reason:
        missing[f"calibration_error/{treatment}"] = str(reason)
    else:
        name = f"calibration_error/{treatment}"
        yield Metric(name, error.expected_error, error.error_low, error.error_high, "chi-square region of the bins")
    try:
        yield _metric(f"calibration_slope/{treatment}", calibration_slope(trial), INFLUENCE)
    except NotEnoughData as reason:
        missing[f"calibration_slope/{treatment}"] = str(reason)


def _metric(name: str, found: Estimate, interval: str) -> Metric:
    return Metric(name, found.value, found.low, found.high, interval)
