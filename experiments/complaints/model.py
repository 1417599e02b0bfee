"""Is a text a complaint? TF-IDF of words and pairs of words, and a logistic regression; judged out of sample.

Folds and resamples are of products: a model that has learned a product's name must not look clever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from decision.errors import NotEnoughData
from decision.records import BoolArray, FloatArray, IntArray

FOLDS = 5
FEWEST_OF_EACH = 50
RESAMPLES = 300
MOST_JUDGED = 50_000


@dataclass(frozen=True, slots=True)
class Skill:
    """AUC and average precision out of sample with 95 % intervals; `base` is the share of complaints."""

    reviews: int
    base: float
    auc: tuple[float, float, float]
    average_precision: tuple[float, float, float]


def pipeline() -> Any:
    """Return the model, not yet fitted."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), min_df=3, sublinear_tf=True, strip_accents="unicode")
    return make_pipeline(words, LogisticRegression(C=4.0, solver="liblinear", max_iter=1_000))


def out_of_fold(texts: Sequence[str], is_complaint: BoolArray, product: IntArray) -> FloatArray:
    """Return the probability of a complaint [R] by models that saw no review of the same product.

    Raises
    ------
    NotEnoughData : there are not 50 complaints and 50 others, or too few products to set some aside.
    """
    from sklearn.model_selection import GroupKFold

    complaints, others, products = int(is_complaint.sum()), int((~is_complaint).sum()), len(np.unique(product))
    if min(complaints, others) < FEWEST_OF_EACH or products < FOLDS:
        raise NotEnoughData(
            f"Expected {FEWEST_OF_EACH} complaints and {FEWEST_OF_EACH} other reviews of {FOLDS} products with a "
            f"rating, found {complaints} and {others} of {products}."
        )
    held = np.array(texts, dtype=object)
    found = np.full(len(held), np.nan)
    for train, test in GroupKFold(FOLDS).split(held, is_complaint, product):
        if is_complaint[train].all() or not is_complaint[train].any():
            raise NotEnoughData("Expected complaints about several products, found them about one.")
        found[test] = pipeline().fit(held[train], is_complaint[train]).predict_proba(held[test])[:, 1]
    return found


def skill(is_complaint: BoolArray, probability: FloatArray, product: IntArray, *, seed: int) -> Skill:
    """Return the skill of probabilities [R] that were made out of sample; intervals by resampling products."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(seed)
    _, code = np.unique(product, return_inverse=True)
    n = int(code.max()) + 1
    both = []
    for _ in range(RESAMPLES):
        weight = np.bincount(rng.integers(n, size=n), minlength=n)[code]
        kept = weight > 0
        if is_complaint[kept].all() or not is_complaint[kept].any():
            continue
        known = (is_complaint[kept], probability[kept])
        both.append([score(*known, sample_weight=weight[kept]) for score in (roc_auc_score, average_precision_score)])
    low, high = np.quantile(np.array(both), [0.025, 0.975], axis=0)
    auc, precision = (float(score(is_complaint, probability)) for score in (roc_auc_score, average_precision_score))
    return Skill(
        reviews=len(is_complaint),
        base=float(is_complaint.mean()),
        auc=(auc, float(low[0]), float(high[0])),
        average_precision=(precision, float(low[1]), float(high[1])),
    )
