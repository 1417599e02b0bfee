"""Azure AI Personalizer's calls Rank, Reward and Activate, for the clients that will lose their service."""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from decision.api import parsing
from decision.api.auth import open_to
from decision.api.compat.extended import extend_problems
from decision.api.decisions import BODY_LIMIT
from decision.api.problem import answer
from decision.api.schemas import Problem
from decision.errors import IdempotencyMismatch, InvalidInput
from decision.flow.rank import RankRequest, rank
from decision.ids import new_decision_id
from decision.stages.keys import Role
from decision.stages.ranking import RankAction, Told, facts
from decision.watching.seen import Ranking, seen_in
from decision.wiring import Shop, utc_now

log = logging.getLogger("encore")
# A ranking costs actions x their features x the context's.
FEATURE_LIMIT = 200
LONGEST_EVENT_ID = 256
Id = Annotated[str, Meta(min_length=1, max_length=256)]
EventId = Annotated[
    str, Meta(min_length=1, max_length=LONGEST_EVENT_ID, pattern=r"^[^/]+$", description="1 to 256 characters, no /")
]


class RankableAction(msgspec.Struct, frozen=True):
    """An action of the caller, with what describes it."""

    id: Id
    features: list[Any] | None = None


class RankQuestion(msgspec.Struct, frozen=True, rename="camel"):
    """Which of these actions? The first is what would be done without Encore."""

    actions: Annotated[list[RankableAction], Meta(min_length=1, max_length=50)]
    context_features: list[Any] | None = None
    excluded_actions: list[str] | None = None
    event_id: EventId | None = None
    defer_activation: bool | None = None


class RankedAction(msgspec.Struct, frozen=True):
    """An action, and the probability it was drawn with."""

    id: str
    probability: float


class RankAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """The ranking of an event; `rewardActionId` is the action to take."""

    ranking: tuple[RankedAction, ...]
    event_id: str
    reward_action_id: str


class RewardValue(msgspec.Struct, frozen=True):
    """How good the action was."""

    value: Annotated[float, Meta(ge=-1.0, le=1.0)]


_rank = msgspec.json.Decoder(RankQuestion)
_reward = msgspec.json.Decoder(RewardValue)


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of Personalizer."""
    routes = Blueprint("personalizer", __name__, url_prefix="/personalizer/v1.0")
    extend_problems(routes, _error)

    @routes.post("/rank")
    @open_to(Role.CHECKOUT)
    def post_rank() -> Response:
        now = utc_now()
        question = parsing.decode(parsing.body_of(request, limit=BODY_LIMIT), _rank)
        return answer(ranked(read_question(question, now=now), shop, now=now), 201)

    @routes.post("/events/<event_id>/reward")
    @open_to(Role.CHECKOUT)
    def post_reward(event_id: str) -> Response:
        value = parsing.decode(parsing.body_of(request, limit=BODY_LIMIT), _reward).value
        return _told(shop, event_id, Told(utc_now(), value))

    @routes.post("/events/<event_id>/activate")
    @open_to(Role.CHECKOUT)
    def post_activate(event_id: str) -> Response:
        return _told(shop, event_id, Told(utc_now(), None))

    return routes


def read_question(question: RankQuestion, *, now: datetime) -> RankRequest:
    """Return the request in a question. Raises `InvalidInput` saying where."""
    seen: set[str] = set()
    for place, action in enumerate(question.actions):
        if action.id in seen:
            raise InvalidInput(
                f"Expected each action once, found {action.id!r} again.", pointer=f"$.actions[{place}].id"
            )
        seen.add(action.id)
        _check_features(action.features, f"$.actions[{place}].features")
    _check_features(question.context_features, "$.contextFeatures")
    excluded = frozenset(question.excluded_actions or ())
    if seen <= excluded:
        raise InvalidInput(
            "Expected an action that is not excluded, found none.",
            hint="Leave one of the actions in.",
            pointer="$.excludedActions",
        )
    return RankRequest(
        event_id=question.event_id or new_decision_id(now),
        context=question.context_features or [],
        actions=tuple(RankAction(action.id, action.features or []) for action in question.actions),
        excluded=excluded,
        deferred=bool(question.defer_activation),
        fingerprint=hashlib.sha256(msgspec.json.encode(question, order="sorted")).hexdigest(),
    )


def _check_features(features: list[Any] | None, pointer: str) -> None:
    found = facts(features or [], pointer=pointer)
    if len(found) > FEATURE_LIMIT:
        raise InvalidInput(
            f"Expected at most {FEATURE_LIMIT} features at {pointer}, found {len(found)}.", pointer=pointer
        )


def ranked(asked: RankRequest, shop: Shop, *, now: datetime) -> RankAnswer:
    """Return the ranking of an event; after a fault the baseline, which is not written down."""
    programme = shop.serving.programme
    try:
        event = rank(
            asked,
            model=shop.rank_model,
            settings=programme.ranking,
            salt=programme.salt,
            ranks=shop.ledger.ranks,
            now=now,
        )
    except IdempotencyMismatch:
        raise
    except Exception as fault:
        # The caller never waits on us: what would be done without Encore is always right to do.
        shop.count_fault(type(fault).__name__)
        log.exception("event answered the baseline after a fault")
        seen_in(request.environ).ranking = Ranking("rank", "fallback")
        return _baseline(asked)
    made = event.ranked_at == now
    seen_in(request.environ).ranking = Ranking(
        "rank", "made" if made else "repeated", event.probabilities[event.chosen] if made else None
    )
    ranking = tuple(RankedAction(action_id, chance) for action_id, chance in event.ranking)
    return RankAnswer(ranking, event.event_id, event.actions[event.chosen].action_id)


def _baseline(asked: RankRequest) -> RankAnswer:
    first = next(action.action_id for action in asked.actions if action.action_id not in asked.excluded)
    ranking = tuple(RankedAction(a.action_id, float(a.action_id == first)) for a in asked.actions)
    return RankAnswer(ranking, asked.event_id, first)


def _told(shop: Shop, event_id: str, told: Told) -> Response:
    if len(event_id) > LONGEST_EVENT_ID:
        raise InvalidInput(
            f"Expected an event id of at most {LONGEST_EVENT_ID} characters, found {len(event_id)}.",
            hint="It is the eventId of a Rank call.",
        )
    known = shop.ledger.ranks.tell(event_id, told)
    call = "activate" if told.value is None else "reward"
    seen_in(request.environ).ranking = Ranking(call, "taken" if known else "unknown")
    if not known:
        # An event that a fault answered is not known either, and its caller has done nothing wrong.
        shop.count_fault("personalizer_unknown_event")
    return Response(status=204)


def _error(problem: Problem) -> dict[str, Any]:
    code = {404: "ResourceNotFound"}.get(
        problem.status, "BadRequest" if problem.status < 500 else "InternalServerError"
    )
    error = {"code": code, "message": f"{problem.detail} {problem.hint}".strip(), "target": problem.pointer or None}
    return {"error": {name: value for name, value in error.items() if value is not None}}
