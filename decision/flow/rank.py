"""The use case: which of the caller's own actions? And what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from decision.bundle.store import pack, unpack
from decision.errors import IdempotencyMismatch
from decision.ledger.base import Ranks
from decision.policies.hashed import RankModel, design
from decision.programme.model import RankSettings
from decision.serving import posterior_arrays, posterior_from
from decision.stages.choice import draw_for
from decision.stages.ranking import RankAction, RankedEvent, chances, drawn, settled

BATCH = 500
# What was told in time may still be on its way to the disk.
UNDER_WAY = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class RankRequest:
    """What a caller asks. `fingerprint` is a hash of the body: the same event must bring the same body."""

    event_id: str
    context: Sequence[Any]
    actions: tuple[RankAction, ...]
    excluded: frozenset[str]
    deferred: bool
    fingerprint: str


def rank(
    request: RankRequest, *, model: RankModel, settings: RankSettings, salt: str, ranks: Ranks, now: datetime
) -> RankedEvent:
    """Return the ranking of an event, durable before this returns; the same event gives the same ranking.

    Raises
    ------
    IdempotencyMismatch : the event exists with another body.
    LedgerError : the ledger can't be read or written.
    """
    found = ranks.event(request.event_id)
    if found is None:
        scores = model.scores(request.context, request.actions)
        allowed = [action.action_id not in request.excluded for action in request.actions]
        probabilities = chances(scores, allowed, exploration=settings.exploration)
        found = ranks.record_event(
            RankedEvent(
                event_id=request.event_id,
                ranked_at=now,
                due_at=now + settings.reward_wait,
                deferred=request.deferred,
                fingerprint=request.fingerprint,
                context=request.context,
                actions=request.actions,
                probabilities=tuple(probabilities.tolist()),
                chosen=drawn(probabilities, draw=draw_for(request.event_id, salt=salt, attempt=0)),
                model_version=model.version,
            )
        )
    if found.fingerprint != request.fingerprint:
        raise IdempotencyMismatch(
            f"Expected the body that event {request.event_id} was first ranked with, found another.",
            hint="Use a new event id for a new question.",
        )
    return found


def learn_ranks(*, settings: RankSettings, ranks: Ranks, now: datetime) -> int:
    """Learn from all events whose wait is over at `now`, each once; return how many taught something.

    Whoever calls this sees to it that nobody else does meanwhile.
    """
    taught = 0
    while due := ranks.due(now=now - UNDER_WAY, limit=BATCH):
        rewards = {event.event_id: settled(event, told, settings) for event, told in due}
        rows = [event for event, _ in due if rewards[event.event_id] is not None]
        model = fresh_model(ranks) or RankModel()
        if rows:
            x = np.vstack([design(event.context, [event.actions[event.chosen]]) for event in rows])
            share = np.array([(rewards[event.event_id] or 0.0) / 2.0 + 0.5 for event in rows])
            model = replace(model, posterior=model.posterior.updated(x, np.zeros(len(rows)), share))
        ranks.settle(rewards, pack(posterior_arrays(model.posterior)) if rows else None)
        taught += len(rows)
    return taught


def fresh_model(ranks: Ranks, *, after: int = 0) -> RankModel | None:
    """Return what was learned last if its version is above `after`, else None."""
    stored = ranks.model(after=after)
    return None if stored is None else RankModel(posterior_from(unpack(stored[1])), stored[0])
