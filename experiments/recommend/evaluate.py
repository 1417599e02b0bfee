"""How good recommendations are, out of sample, beside rules that anybody could use.

Settings are chosen on the baskets before those that are judged; nothing is learned from a basket that is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from decision.errors import NotEnoughData
from decision.records import BoolArray, FloatArray, IntArray
from experiments.recommend.metrics import Estimate, estimates, hits, ndcg, recall
from experiments.recommend.model import PRIOR, Settings, model, nearness
from experiments.recommend.purchases import DAY_US, Purchases
from experiments.recommend.rankings import Scores, asked, by_model, simple_rules
from experiments.recommend.rates import rebuys
from experiments.recommend.split import NEXT_DAYS, Split, last_baskets, next_baskets, sample

ENCORE = "Encore"
RIVALS = ("popularity", "co-occurrence, last basket", "co-occurrence, all baskets")
METRICS = ("recall@10", "NDCG@10")
ANY, NEW = "any product", "new to her"
FEWEST_CUSTOMERS = 30
MOST_CUSTOMERS, MOST_TO_CHOOSE = 10_000, 2_000
CELLS_AT_ONCE = 4_000_000
DURABLE_BELOW = 0.05
# The simplest first: best sellers ever and of late, then the same after what she bought before.
SIMPLE = tuple(
    Settings(trend=trend, decay=0.9, again=again, near=0.0) for again, trend in product((0.0, 1.0), (0.0, 1.0))
)
GRID = (
    *(
        Settings(mix, trend, decay, again)
        for mix, trend, decay, again in product((0.5, 1.0), (0.0, 0.25, 0.5), (0.7, 0.9), (0.5, 2.0))
    ),
    *SIMPLE,
)
# One-sided 95 %.
BEYOND_CHANCE = 1.645
T = TypeVar("T")
Progress = Callable[[str, Iterable[T]], Iterable[T]]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures of one protocol and one question (any product, or only those new to her), over U customers.

    `values[name, metric]` are means, `ahead[name, metric]` how far Encore is ahead of a rule.
    """

    protocol: str
    question: str
    customers: int
    values: dict[tuple[str, str], Estimate]
    ahead: dict[tuple[str, str], Estimate]

    @property
    def beats_rivals(self) -> bool:
        """Return whether every interval of the lead over popularity and co-occurrence lies above 0."""
        return all(self.ahead[name, metric].low > 0 for name in RIVALS for metric in METRICS)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The settings that earlier baskets chose, how good they were there, and the tables."""

    settings: Settings
    chosen_on: str
    tables: tuple[Table, ...]


def evaluate(purchases: Purchases, *, seed: int, progress: Progress[Settings]) -> Iterator[Evaluation]:
    """Yield the evaluation on last baskets, then as of a day 90 days before the end.

    Raises
    ------
    NotEnoughData : fewer than 30 customers have a basket to choose on, or to be judged on.
    """
    end = int(purchases.at.max()) + 1
    cut = end - NEXT_DAYS * DAY_US
    yield _evaluated(
        purchases,
        "leave the last basket out",
        (last_baskets(purchases, back=1), "last baskets but one"),
        last_baskets(purchases),
        seed=seed,
        progress=progress,
    )
    if cut - NEXT_DAYS * DAY_US > purchases.at.min():
        yield _evaluated(
            purchases,
            f"as of {NEXT_DAYS} days before the end",
            (next_baskets(purchases, cut=cut - NEXT_DAYS * DAY_US), f"the {NEXT_DAYS} days before that"),
            next_baskets(purchases, cut=cut),
            seed=seed,
            progress=progress,
        )


def _evaluated(
    purchases: Purchases,
    protocol: str,
    earlier: tuple[Split, str],
    judged: Split,
    *,
    seed: int,
    progress: Progress[Settings],
) -> Evaluation:
    settings = choose(purchases, earlier[0], seed=seed, progress=progress)
    split = sample(judged, MOST_CUSTOMERS, seed=seed)
    _check(split, "judge")
    known = purchases.only(split.known)
    rules = {**simple_rules(known), ENCORE: _fitted(known, settings)}
    figures = measure(purchases, split, rules)
    # Where customers buy nothing but what they know, there is nobody to judge new products on.
    told = [q for q in (ANY, NEW) if (~np.isnan(figures[ENCORE, METRICS[0], q])).sum() >= FEWEST_CUSTOMERS]
    tables = tuple(_table(protocol, question, rules, figures, seed=seed) for question in told)
    return Evaluation(settings, earlier[1], tables)


def choose(purchases: Purchases, split: Split, *, seed: int, progress: Progress[Settings]) -> Settings:
    """Return the settings with the best NDCG on a split, of any product and of new ones together.

    A simpler rule is kept where what is best is not ahead of it beyond chance, customers paired: in a shop without
    structure the best of many models is the luckiest.
    """
    split = sample(split, MOST_TO_CHOOSE, seed=seed)
    _check(split, "choose settings")
    known = purchases.only(split.known)
    near = nearness(known)
    durable = rebuys(known, prior=PRIOR).durable(DURABLE_BELOW)
    gains: dict[Settings, FloatArray] = {}
    for settings in progress("choosing on earlier baskets", GRID):
        found = measure(purchases, split, {ENCORE: by_model(model(near, durable, settings))})
        gains[settings] = np.sum([np.nan_to_num(found[ENCORE, "NDCG@10", of]) for of in (ANY, NEW)], axis=0)
    best = max(gains, key=lambda settings: float(gains[settings].mean()))
    simpler = (settings for settings in gains if settings.simple and not _ahead(gains[best] - gains[settings]))
    return next(simpler, best)


def _ahead(lead: FloatArray) -> bool:
    return bool(lead.mean() > BEYOND_CHANCE * lead.std(ddof=1) / np.sqrt(len(lead)))


def _check(split: Split, what: str) -> None:
    if len(split.target) < FEWEST_CUSTOMERS:
        raise NotEnoughData(
            f"Expected {FEWEST_CUSTOMERS} customers with enough baskets to {what}, found {len(split.target)}.",
            hint="Until customers have come back more often, recommend best sellers.",
        )


def _fitted(known: Purchases, settings: Settings) -> Scores:
    durable = rebuys(known, prior=PRIOR).durable(DURABLE_BELOW)
    return by_model(model(nearness(known), durable, settings))


def measure(purchases: Purchases, split: Split, rules: dict[str, Scores]) -> dict[tuple[str, str, str], FloatArray]:
    """Return for each rule, metric and question its figure for each customer [U]; NaN where she bought nothing new."""
    n = len(purchases.products)
    chunk = max(CELLS_AT_ONCE // n, 1)
    found: dict[tuple[str, str, str], list[FloatArray]] = {}
    for start in range(0, len(split.target), chunk):
        target = split.target[start : start + chunk]
        of = asked(purchases, split, purchases.customer[target])
        wanted, owned = _wanted(purchases, target), of.owned
        for name, scores in rules.items():
            values = scores(of)
            for question in (ANY, NEW):
                wants, ranked = wanted, values
                if question == NEW:
                    wants, ranked = wanted & ~owned, np.where(owned, -np.inf, values)
                for metric, per_customer in _per_customer(ranked, wants).items():
                    found.setdefault((name, metric, question), []).append(per_customer)
    return {key: np.concatenate(parts) for key, parts in found.items()}


def _wanted(purchases: Purchases, target: IntArray) -> BoolArray:
    row = np.full(len(purchases.customer), -1)
    row[target] = np.arange(len(target))
    held = row[purchases.basket] >= 0
    wanted = np.zeros((len(target), len(purchases.products)), dtype=np.bool_)
    wanted[row[purchases.basket[held]], purchases.product[held]] = True
    return wanted


def _per_customer(scores: FloatArray, wanted: BoolArray) -> dict[str, FloatArray]:
    some = wanted.any(axis=1)
    found = hits(scores[some], wanted[some])
    both = {}
    for metric, measured in zip(METRICS, (recall, ndcg), strict=True):
        both[metric] = np.full(len(wanted), np.nan)
        both[metric][some] = measured(found, wanted[some])
    return both


def _table(
    protocol: str,
    question: str,
    rules: dict[str, Scores],
    figures: dict[tuple[str, str, str], FloatArray],
    *,
    seed: int,
) -> Table:
    judged = ~np.isnan(figures[ENCORE, METRICS[0], question])
    mine = {(name, metric): figures[name, metric, question][judged] for name in rules for metric in METRICS}
    leads = {key: mine[ENCORE, key[1]] - of for key, of in mine.items() if key[0] != ENCORE}
    flat = {f"v\0{name}\0{metric}": of for (name, metric), of in mine.items()}
    flat |= {f"d\0{name}\0{metric}": of for (name, metric), of in leads.items()}
    found = {tuple(key.split("\0")): estimate for key, estimate in estimates(flat, seed=seed).items()}
    return Table(
        protocol,
        question,
        int(judged.sum()),
        {(name, metric): of for (kind, name, metric), of in found.items() if kind == "v"},
        {(name, metric): of for (kind, name, metric), of in found.items() if kind == "d"},
    )
