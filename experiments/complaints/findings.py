"""What reviews say of products and departments, and how far that can be trusted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.records import BoolArray, FloatArray, IntArray
from experiments.complaints.kinds import Kinds, mentions
from experiments.complaints.model import MOST_JUDGED, RESAMPLES, Skill, out_of_fold, pipeline, skill
from experiments.complaints.rates import Rates, Verdict, rates
from experiments.complaints.reviews import Reviews

ANY = "any"
LOWEST_TOPICS, WORDS = 8, 8
Interval = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Coded:
    """Reviews as numbers: product and department of each [R], and the department a product has most reviews in [P]."""

    products: tuple[str, ...]
    departments: tuple[str, ...]
    product: IntArray
    department: IntArray
    home: IntArray


@dataclass(frozen=True, slots=True)
class Trust:
    """What can be checked of a kind: how often it is mentioned, and how often such and other reviews complain."""

    mentioned: float
    complaints_if_mentioned: Interval
    complaints_if_not: Interval


@dataclass(frozen=True, slots=True)
class Holdout:
    """Products flagged on one half of their reviews: the share of complaints in their other half, and in the rest's."""

    flagged: int
    share_of_flagged: Interval
    share_of_rest: Interval


@dataclass(frozen=True, slots=True)
class Findings:
    """Rates by kind (`any` first) for products and departments; what backs them; `uncovered` complaints of no kind."""

    coded: Coded
    shop: dict[str, float]
    products: dict[str, Rates]
    departments: dict[str, Rates]
    skills: dict[str, Skill]
    trust: dict[str, Trust]
    holdout: Holdout | None
    topics: tuple[tuple[str, ...], ...]
    uncovered: float

    def problems(self) -> list[tuple[str, str]]:
        """Return (product, kind) of every problem."""
        return [
            (product, kind)
            for p, product in enumerate(self.coded.products)
            for kind, of in self.products.items()
            if of.verdict(p) is Verdict.PROBLEM
        ]


def coded(reviews: Reviews) -> Coded:
    """Return reviews as numbers."""
    products, product = np.unique(np.array(reviews.product), return_inverse=True)
    departments, department = np.unique(np.array(reviews.department), return_inverse=True)
    counts = np.zeros((len(products), len(departments)), dtype=np.int64)
    np.add.at(counts, (product, department), 1)
    return Coded(
        tuple(str(p) for p in products), tuple(str(d) for d in departments), product, department, counts.argmax(axis=1)
    )


def complaints_of(reviews: Reviews, product: IntArray, *, low: float, seed: int) -> tuple[FloatArray, dict[str, Skill]]:
    """Return for each review whether it is a complaint [R], and how well texts alone tell it.

    A rating of at most `low` is one; where nobody rated, the model of the texts gives a probability.
    """
    rated = ~np.isnan(reviews.rating)
    known = np.flatnonzero(rated)
    judged = known
    if len(known) > MOST_JUDGED:
        judged = np.sort(np.random.default_rng(seed).choice(known, size=MOST_JUDGED, replace=False))
    texts = [reviews.text[i] for i in judged]
    skills = {}
    for at_most in sorted({low - 1, low}):
        is_complaint = reviews.rating[judged] <= at_most
        try:
            probability = out_of_fold(texts, is_complaint, product[judged])
        except NotEnoughData:
            if at_most == low:
                raise
            continue
        skills[f"rating of at most {at_most:g}"] = skill(is_complaint, probability, product[judged], seed=seed)
    complaint = (reviews.rating <= low).astype(np.float64)
    if not rated.all():
        held = np.array(reviews.text, dtype=object)
        fitted = pipeline().fit(held[judged], reviews.rating[judged] <= low)
        complaint[~rated] = fitted.predict_proba(held[~rated])[:, 1]
    return complaint, skills


def find(reviews: Reviews, kinds: Kinds, *, low: float, worse: float, seed: int) -> Findings:
    """Return the findings; a problem is a share of complaints beyond `worse` times the shop's.

    Raises
    ------
    NotEnoughData : too few rated complaints or other reviews to learn from.
    """
    codes = coded(reviews)
    complaint, skills = complaints_of(reviews, codes.product, low=low, seed=seed)
    mentioned = mentions(reviews.text, kinds)
    of_kind = {ANY: complaint} | {kind: complaint * mentioned[:, k] for k, kind in enumerate(kinds)}
    shop = {kind: float(of.mean()) for kind, of in of_kind.items()}
    departments = {kind: _of_departments(codes, of, worse=worse) for kind, of in of_kind.items()}
    products = {
        kind: rates(codes.product, of, prior_share=departments[kind].share[codes.home], limit=worse * shop[kind])
        for kind, of in of_kind.items()
    }
    covered = complaint * mentioned.any(axis=1)
    return Findings(
        coded=codes,
        shop=shop,
        products=products,
        departments=departments,
        skills=skills,
        trust={kind: _trust(complaint, mentioned[:, k], codes.product, seed) for k, kind in enumerate(kinds)},
        holdout=_holdout(codes, complaint, worse=worse, seed=seed),
        topics=topics([reviews.text[i] for i in np.flatnonzero(complaint > 0.5)], seed=seed),
        uncovered=float(1.0 - covered.sum() / complaint.sum()),
    )


def _of_departments(codes: Coded, complaint: FloatArray, *, worse: float) -> Rates:
    share = float(complaint.mean())
    return rates(codes.department, complaint, prior_share=np.full(len(codes.departments), share), limit=worse * share)


def _trust(complaint: FloatArray, mentioned: BoolArray, product: IntArray, seed: int) -> Trust:
    return Trust(
        mentioned=float(mentioned.mean()),
        complaints_if_mentioned=_share(complaint, mentioned, product, seed),
        complaints_if_not=_share(complaint, ~mentioned, product, seed),
    )


def _share(complaint: FloatArray, among: BoolArray, product: IntArray, seed: int) -> Interval:
    """Return the mean of complaints among some reviews with its 95 % interval, by resampling products."""
    if not among.any():
        return float("nan"), float("nan"), float("nan")
    n = int(product.max()) + 1
    reviews = np.bincount(product[among], minlength=n)
    complaints = np.bincount(product[among], weights=complaint[among], minlength=n)
    some = np.flatnonzero(reviews)
    rng = np.random.default_rng(seed)
    drawn = [some[rng.integers(len(some), size=len(some))] for _ in range(RESAMPLES)]
    low, high = np.quantile([complaints[d].sum() / reviews[d].sum() for d in drawn], [0.025, 0.975])
    return float(complaints.sum() / reviews.sum()), float(low), float(high)


def _holdout(codes: Coded, complaint: FloatArray, *, worse: float, seed: int) -> Holdout | None:
    """Flag products on a random half of all reviews and look at the other; None where no product is flagged."""
    first = np.random.default_rng(seed).random(len(complaint)) < 0.5
    share = float(complaint[first].mean())
    found = rates(
        codes.product[first],
        complaint[first],
        prior_share=np.full(len(codes.products), share),
        limit=worse * share,
    )
    flagged = np.array([found.verdict(p) is Verdict.PROBLEM for p in range(len(codes.products))])
    of_flagged = flagged[codes.product]
    if not (of_flagged & ~first).any():
        return None
    return Holdout(
        int(flagged.sum()),
        _share(complaint, of_flagged & ~first, codes.product, seed),
        _share(complaint, ~of_flagged & ~first, codes.product, seed),
    )


def topics(texts: Sequence[str], *, seed: int) -> tuple[tuple[str, ...], ...]:
    """Return the words of topics in complaints, found without any list: to see what the lists miss."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(stop_words="english", min_df=5, max_df=0.5, max_features=5_000, sublinear_tf=True)
    try:
        counts = words.fit_transform(texts)
    except ValueError:
        return ()
    n = min(LOWEST_TOPICS, counts.shape[1], counts.shape[0])
    # Topics are looked at, not reckoned with: neither an early end nor a fit without any error does harm.
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)
        parts = NMF(n, init="nndsvda", random_state=seed, max_iter=500, tol=1e-3).fit(counts).components_
    names = words.get_feature_names_out()
    return tuple(tuple(str(names[i]) for i in part.argsort()[::-1][:WORDS]) for part in parts)
