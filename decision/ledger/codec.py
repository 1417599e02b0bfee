"""Records to and from the ledger's columns. Times are whole microseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from decision.records import (
    ContextValue,
    Decision,
    Group,
    Outcome,
    ProfileSource,
    Promise,
    Reason,
    Recommended,
    Rejection,
    Reward,
    RewardStatus,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# Asking an enumeration for a member by its value takes a good part of reading a decision.
_GROUPS = {group.value: group for group in Group}
_REASONS = {reason.value: reason for reason in Reason}
_STATUSES = {status.value: status for status in RewardStatus}


def to_us(moment: datetime) -> int:
    """Return microseconds since 1970 UTC of an aware time."""
    return (moment - _EPOCH) // _MICROSECOND


def from_us(microseconds: int) -> datetime:
    """Return the UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=microseconds)


class DecisionBody(msgspec.Struct, frozen=True):
    """The part of a decision that is read whole or not at all, kept as JSON."""

    trigger: str
    store: str | None
    order_id: str
    policy_version: str
    allowed: tuple[str, ...]
    distribution: tuple[float, ...]
    context: dict[str, ContextValue]
    predictions: dict[str, tuple[float | None, ...]]
    rejected: tuple[tuple[str, str, str], ...]
    reasons: tuple[tuple[str, str], ...]
    expires_at: int | None
    contact_cost_micros: int
    fingerprint: str
    coupon: str | None
    redemption_cost_micros: int = 0
    redemption_share: float = 0.0
    promise: tuple[str, dict[str, Any]] | None = None
    window_ends_at: int | None = None
    # Unset, not null: who asks for none pays no bytes.
    recommended: Recommended | UnsetType = UNSET
    profile_sources: tuple[tuple[str, int, str], ...] | UnsetType = UNSET


_body_decoder = msgspec.json.Decoder(DecisionBody)
_encoder = msgspec.json.Encoder()

DECISION_COLUMNS = "decision_id, customer_id, decided_at, matures_at, action_id, grp, propensity, body"


def decision_row(decision: Decision) -> tuple[Any, ...]:
    """Return a decision as the values of `DECISION_COLUMNS`."""
    body = DecisionBody(
        trigger=decision.trigger,
        store=decision.store,
        order_id=decision.order_id,
        policy_version=decision.policy_version,
        allowed=decision.allowed,
        distribution=decision.distribution,
        context=dict(decision.context),
        predictions=dict(decision.predictions),
        rejected=tuple((r.action_id, r.reason.value, r.detail) for r in decision.rejected),
        reasons=decision.reasons,
        expires_at=None if decision.expires_at is None else to_us(decision.expires_at),
        contact_cost_micros=decision.contact_cost_micros,
        fingerprint=decision.fingerprint,
        coupon=decision.coupon,
        redemption_cost_micros=decision.redemption_cost_micros,
        redemption_share=decision.redemption_share,
        promise=None if decision.promise is None else (decision.promise.kind, dict(decision.promise.terms)),
        window_ends_at=None if decision.window_ends_at is None else to_us(decision.window_ends_at),
        recommended=UNSET if decision.recommended is None else decision.recommended,
        profile_sources=tuple((s.name, to_us(s.as_of), s.version) for s in decision.profile_sources) or UNSET,
    )
    return (
        decision.decision_id,
        decision.customer_id,
        to_us(decision.decided_at),
        to_us(decision.matures_at),
        decision.action_id,
        decision.group.value,
        decision.propensity,
        _encoder.encode(body).decode(),
    )


def decision_of(row: tuple[Any, ...]) -> Decision:
    """Return the decision in a row of `DECISION_COLUMNS`."""
    decision_id, customer_id, decided_at, matures_at, action_id, group, propensity, text = row
    body = _body_decoder.decode(text)
    return Decision(
        decision_id=decision_id,
        customer_id=customer_id,
        trigger=body.trigger,
        store=body.store,
        order_id=body.order_id,
        decided_at=from_us(decided_at),
        group=_GROUPS[group],
        action_id=action_id,
        propensity=propensity,
        policy_version=body.policy_version,
        allowed=body.allowed,
        distribution=body.distribution,
        context=body.context,
        predictions=body.predictions,
        rejected=tuple(Rejection(a, _REASONS[r], d) for a, r, d in body.rejected),
        reasons=body.reasons,
        expires_at=None if body.expires_at is None else from_us(body.expires_at),
        matures_at=from_us(matures_at),
        contact_cost_micros=body.contact_cost_micros,
        fingerprint=body.fingerprint,
        coupon=body.coupon,
        redemption_cost_micros=body.redemption_cost_micros,
        redemption_share=body.redemption_share,
        promise=None if body.promise is None else Promise(*body.promise),
        window_ends_at=None if body.window_ends_at is None else from_us(body.window_ends_at),
        recommended=None if body.recommended is UNSET else body.recommended,
        profile_sources=tuple(ProfileSource(n, from_us(at), v) for n, at, v in body.profile_sources or ()),
    )


OUTCOME_COLUMNS = "message_id, name, customer_id, occurred_at, properties"


def outcome_of(row: tuple[Any, ...]) -> Outcome:
    """Return the outcome in a row of `OUTCOME_COLUMNS`."""
    message_id, name, customer_id, occurred_at, properties = row
    return Outcome(message_id, name, customer_id, from_us(occurred_at), msgspec.json.decode(properties))


REWARD_COLUMNS = (
    "decision_id, status, visited, repurchased, redeemed, "
    "revenue_micros, margin_micros, cost_micros, value_micros, computed_at, first_order_at"
)


def reward_row(reward: Reward) -> tuple[Any, ...]:
    """Return a reward as the values of `REWARD_COLUMNS`."""
    return (
        reward.decision_id,
        reward.status.value,
        int(reward.visited),
        int(reward.repurchased),
        int(reward.redeemed),
        reward.revenue_micros,
        reward.margin_micros,
        reward.cost_micros,
        reward.value_micros,
        to_us(reward.computed_at),
        None if reward.first_order_at is None else to_us(reward.first_order_at),
    )


def reward_of(row: tuple[Any, ...]) -> Reward:
    """Return the reward in a row of `REWARD_COLUMNS`."""
    decision_id, status, visited, repurchased, redeemed, revenue, margin, cost, value, computed_at, first = row
    return Reward(
        decision_id=decision_id,
        status=_STATUSES[status],
        visited=bool(visited),
        repurchased=bool(repurchased),
        redeemed=bool(redeemed),
        revenue_micros=revenue,
        margin_micros=margin,
        cost_micros=cost,
        value_micros=value,
        computed_at=from_us(computed_at),
        first_order_at=None if first is None else from_us(first),
    )
