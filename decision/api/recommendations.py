"""What was recommended, as the caller reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType

from decision.api.schemas import DecisionAnswer, DecisionQuestion, RecommendationAnswer, RecommendationsAnswer

if TYPE_CHECKING:
    # The client of a till imports this room, and needs no numpy.
    from decision.records import Recommended


def recommendations_answer(found: Recommended | None) -> RecommendationsAnswer | UnsetType:
    """Return what was recommended; unset where nobody asked."""
    if found is None:
        return UNSET
    return RecommendationsAnswer(
        products=tuple(RecommendationAnswer(r.product, r.score, r.code, r.because) for r in found.products),
        version=found.version,
        code=found.code,
        detail=found.detail,
        withheld=dict(found.withheld),
    )


def without_products(question: DecisionQuestion, answer: DecisionAnswer) -> DecisionAnswer:
    """Return a fallback as one who asked for products can read it: an empty list, for the reason of the fallback."""
    if question.recommendations is UNSET:
        return answer
    reason = answer.reasons[0]
    return msgspec.structs.replace(
        answer, recommendations=RecommendationsAnswer((), None, reason.code, reason.detail, {})
    )
