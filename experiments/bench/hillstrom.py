"""`python -m experiments.bench.hillstrom PATH`: Encore on Hillstrom's e-mail trial, beside one e-mail for all.

PATH is the published CSV of 64,000 customers. On ten halves, stratified by arm and outcome, Encore and causalml's
T-learner choose who gets which e-mail; the other halves say what that brought, by doubly robust scores with the
design's propensities (Robins, Rotnitzky and Zhao 1994). The best constant is known with hindsight, from all rows.
Then what it costs: CPU to fit all rows, and the time to score 20 actions as a bundle does.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from decision.bundle.models import UpliftModel, uplift_model_from
from decision.policies.action_features import ActionFeatures
from decision.records import CONTROL_ACTION, Action
from experiments.bench.peers.causal_ml import learned_t, learned_t_defaults
from experiments.bench.protocol import FloatArray, IntArray, Terms, Trial
from experiments.bench.uplift import encore
from experiments.encoding import encode_all, fit_encoder
from experiments.learners.base import Export, Rows
from experiments.learners.pooled_sparse import PooledSparse

ARMS = ("No E-Mail", "Mens E-Mail", "Womens E-Mail")
OUTCOMES = ("visit", "conversion", "spend")
CONTACT = 0.01  # dollars an e-mail, as in the programme of the case; the trial does not say
SPLITS = 10
RIDGE = 10.0
ACTIONS = 20
SCORINGS = 2_000
REPEATS = 3


class Log(NamedTuple):
    """n customers: encoded facts `x` [n, D], `action` [n], and each of `OUTCOMES` [n]."""

    x: FloatArray
    action: IntArray
    outcomes: dict[str, FloatArray]

    def trial(self, goal: str, *, seed: int) -> Trial:
        """Return the rows as a trial whose profit is the goal: spend is net of what e-mails cost."""
        bought = (self.outcomes[goal] > 0).astype(float)
        contact = np.where(np.arange(len(ARMS)) > 0, CONTACT if goal == "spend" else 0.0, 0.0)
        nothing = np.zeros(len(ARMS))
        return Trial(self.x, self.action, bought, self.outcomes[goal], Terms(1.0, nothing, nothing, contact), seed)

    def where(self, keep: IntArray) -> Log:
        """Return the rows at places `keep`."""
        return Log(self.x[keep], self.action[keep], {name: y[keep] for name, y in self.outcomes.items()})


class Gain(NamedTuple):
    """What two policies brought a customer, their difference, and its standard error on one half."""

    one: float
    other: float
    difference: float
    error: float


def read(path: Path) -> Log:
    """Return the trial in a CSV file."""
    import pandas as pd

    table = pd.read_csv(path)
    facts = table.drop(columns=["segment", *OUTCOMES]).to_dict("records")
    contexts = [{str(name): value for name, value in row.items()} for row in facts]
    action = np.array([ARMS.index(arm) for arm in table["segment"]])
    return Log(
        encode_all(fit_encoder(contexts), contexts),
        action,
        {name: table[name].to_numpy(dtype=float) for name in OUTCOMES},
    )


def halves(log: Log, *, seed: int) -> tuple[IntArray, IntArray]:
    """Return the places of two halves with the same arms, visits and conversions."""
    order = np.random.default_rng(seed).permutation(len(log.action))
    strata = 4 * log.action + 2 * log.outcomes["visit"].astype(int) + log.outcomes["conversion"].astype(int)
    order = order[np.argsort(strata[order], kind="stable")]
    return order[::2], order[1::2]


def robust_scores(train: Trial, test: Trial) -> FloatArray:
    """Return doubly robust profit [n, K] of the test half under every action; the regressions are the other half's."""
    from sklearn.linear_model import Ridge

    arms = range(test.terms.actions)
    fits = [Ridge(alpha=RIDGE).fit(train.x[train.action == k], train.profit[train.action == k]) for k in arms]
    expected = np.column_stack([fit.predict(test.x) for fit in fits])
    given = test.action[:, None] == np.arange(test.terms.actions)
    scores: FloatArray = expected + given * test.terms.actions * (test.profit[:, None] - expected)
    return scores


def gain(scores: FloatArray, one: IntArray, other: IntArray) -> Gain:
    """Return what policy `one` brought more than the `other`, actions [n], by scores [n, K]."""
    rows = np.arange(len(scores))
    a, b = scores[rows, one], scores[rows, other]
    return Gain(float(a.mean()), float(b.mean()), float((a - b).mean()), float((a - b).std(ddof=1) / len(a) ** 0.5))


def contrasts(log: Log, goal: str, *, splits: int) -> dict[str, Gain]:
    """Return Encore against the best constant and against causalml's T-learner, averaged over splits."""
    profit = log.trial(goal, seed=0).profit
    best = int(np.argmax([profit[log.action == k].mean() for k in range(len(ARMS))]))
    found: dict[str, list[Gain]] = {f"always {ARMS[best]}": [], "causalml T-learner": []}
    for seed in range(splits):
        learn, judge = (log.where(half).trial(goal, seed=seed) for half in halves(log, seed=seed))
        scores = robust_scores(learn, judge)
        ours, theirs = (f(learn, judge.x).argmax(axis=1) for f in (encore, learned_t))
        others = (np.full(len(ours), best), theirs)
        for name, other in zip(found, others, strict=True):
            found[name].append(gain(scores, ours, other))
    return {name: Gain(*np.mean(gains, axis=0).tolist()) for name, gains in found.items()}


def fit_seconds(fit: Callable[[], Any]) -> float:
    """Return the least CPU seconds of a few fits."""
    took = []
    for _ in range(REPEATS):
        begun = time.process_time()
        fit()
        took.append(time.process_time() - begun)
    return min(took)


def scoring(rows: Rows) -> tuple[float, float]:
    """Return microseconds (p50) to score 20 actions by a bundle's arrays, and how far they are from the fitted model.

    The arms of the trial are repeated to 20 actions.
    """
    fitted = PooledSparse().fit(rows, seed=1)
    served, every = served_model(fitted.export(), rows.x.shape[1]), np.arange(ACTIONS)
    took, off = [], 0.0
    for x, odds in zip(rows.x[:SCORINGS], fitted.predict(rows.x[:SCORINGS], in_sample=True), strict=True):
        begun = time.perf_counter()
        found = served.predict(x, every)
        took.append(time.perf_counter() - begun)
        off = max(off, float(np.abs(found.repurchase - np.resize(odds, ACTIONS)).max()))
    return 1e6 * float(np.median(took)), off


def served_model(export: Export, width: int) -> UpliftModel:
    """Return a bundle's model of 20 actions over contexts of `width` facts, whose baskets are all 1."""
    named = {f"repurchase.{name}": array for name, array in export.arrays.items()}
    coefficients = export.arrays["coefficients"]
    named["repurchase.coefficients"] = coefficients[np.arange(ACTIONS) % len(coefficients)]
    basket = np.zeros((ACTIONS, 1 + width))
    rest = {"basket.coefficients": basket, "basket.smear": np.array(1.0), "basket.range": np.array([1.0, 1.0])}
    return uplift_model_from({"repurchase": export.kind}, {**named, **rest, "redemption": np.zeros(ACTIONS)})


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--splits", type=click.IntRange(min=1), default=SPLITS, show_default=True, help="Halves to learn from.")
def main(*, path: Path, splits: int) -> None:
    """Judge Encore on Hillstrom's trial, the CSV at PATH, and time it beside causalml's T-learner."""
    warnings.simplefilter("ignore")
    log = read(path)
    click.echo(f"{len(log.action):,} customers, {splits} stratified halves; profit a customer by doubly robust scores.")
    click.echo("An error is that of one half: the halves share customers, so that the average is hardly surer.")
    click.echo(
        f"{'goal':12}{'Encore against':24}{'Encore':>9}{'other':>9}{'difference':>12}{'error':>9}  not behind by more"
    )
    for goal in OUTCOMES:
        for name, g in contrasts(log, goal, splits=splits).items():
            held = "yes" if g.difference >= -g.error else "no"
            label = "net spend" if goal == "spend" else goal
            click.echo(f"{label:12}{name:24}{g.one:9.4f}{g.other:9.4f}{g.difference:+12.4f}{g.error:9.4f}  {held}")
    trial = log.trial("visit", seed=1)
    actions = (CONTROL_ACTION, Action("mens_email", "email"), Action("womens_email", "email"))
    rows = Rows(log.x, log.action, trial.bought, ActionFeatures(actions, log.x.shape[1]))
    ours = fit_seconds(lambda: PooledSparse().fit(rows, seed=1))
    click.echo(f"CPU s to fit visits: pooled_sparse {ours:.2f}")
    for name, peer in {"small trees": learned_t, "LightGBM as it comes": learned_t_defaults}.items():
        theirs = fit_seconds(partial(peer, trial, trial.x[:1]))
        click.echo(f"  causalml T-learner, {name}: {theirs:.2f}, ours is {ours / theirs:.1f} times that")
    p50, off = scoring(rows)
    click.echo(f"{ACTIONS} actions scored in {p50:.0f} µs (p50), at most {off:.1g} from the fitted model")


if __name__ == "__main__":
    main()
