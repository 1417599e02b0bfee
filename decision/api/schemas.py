"""What goes over the wire. msgspec validates it and describes it in OpenAPI."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Identifier = Annotated[str, Meta(min_length=1, max_length=200)]
DecisionId = Annotated[
    str,
    Meta(
        min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:\-]+$", description="up to 64 letters, digits and _ . : -"
    ),
]
FactText = Annotated[str, Meta(max_length=500)]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="an ISO 4217 code such as EUR")]


class Money(Struct, frozen=True, forbid_unknown_fields=True):
    """An amount as a decimal, best sent in quotes, and its currency."""

    amount: Annotated[Decimal, Meta(description="A decimal, never a binary float", examples=["49.90"])]
    currency: CurrencyCode


class OrderFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """The order that was just placed; for a return, the goods that came back."""

    order_id: Identifier
    total: Money
    discount: Money | None = None
    products: Annotated[tuple[Identifier, ...], Meta(max_length=500)] = ()
    item_count: Annotated[int, Meta(ge=1, le=100_000)] = 1
    return_reason: Literal["size", "quality", "wrong_item", "other"] | UnsetType = UNSET


class Candidates(Struct, frozen=True, forbid_unknown_fields=True):
    """Only these offers and channels may be given; leave one out to allow all. `control` is always possible."""

    offers: Annotated[tuple[Identifier, ...], Meta(max_length=100)] | None = None
    channels: Annotated[tuple[Identifier, ...], Meta(max_length=100)] | None = None


class DecisionQuestion(Struct, frozen=True, forbid_unknown_fields=True):
    """What the checkout asks right after a purchase or a return."""

    customer_id: Identifier
    trigger: Literal["purchase", "return"]
    order: OrderFacts
    store: Identifier | None = None
    candidates: Candidates | None = None
    features: Annotated[dict[str, FactText | float | None], Meta(description="As declared in programme.toml")] = {}
    consent: Annotated[dict[str, bool], Meta(description="Channel to yes or no, as the shop knows it")] = {}
    decision_id: DecisionId | None = None
    # Unset, so that the hash of a question that was asked before an upgrade stays what it was.
    recommendations: Annotated[int, Meta(ge=0, le=20, description="How many products to recommend")] | UnsetType = UNSET


class ActionAnswer(Struct, frozen=True):
    """What to do: `control` means nothing, a normal answer."""

    action_id: str
    offer: str
    channel: str
    kind: str
    terms: dict[str, Any]
    coupon: Annotated[str | None, Meta(description="Code to hand out; sent back as `coupon` when it is used")]


class ReasonAnswer(Struct, frozen=True):
    """A code for machines and a sentence for people."""

    code: str
    detail: str


class RejectedAnswer(Struct, frozen=True):
    """An action that a guardrail removed, and why."""

    action_id: str
    code: str
    detail: str


class Odds(Struct, frozen=True):
    """Predicted odds of a repurchase inside the attribution window."""

    with_offer: float | None
    without_offer: float | None


class RecommendationAnswer(Struct, frozen=True):
    """A product for this customer: `code` says why, `because` is the product that led to it."""

    product: str
    score: float
    code: str
    because: str | None


class RecommendationsAnswer(Struct, frozen=True):
    """Products, best first. `code` is `ok`, or says with `detail` why there are fewer or none.

    `withheld` counts candidates that were held back, by reason.
    """

    products: tuple[RecommendationAnswer, ...]
    version: str | None
    code: str
    detail: str
    withheld: dict[str, int]


class DecisionAnswer(Struct, frozen=True):
    """The decision. `recorded` is false only when a fault made Encore answer control without writing it down."""

    decision_id: str
    action: ActionAnswer
    propensity: float
    group: str | None
    policy_version: str
    decided_at: datetime
    expires_at: datetime | None
    reasons: tuple[ReasonAnswer, ...]
    rejected: tuple[RejectedAnswer, ...]
    repurchase_odds: Odds
    recorded: bool
    recommendations: RecommendationsAnswer | UnsetType = UNSET


class ActionChance(Struct, frozen=True):
    """One allowed action: its probability, and what the policy predicted for it."""

    action_id: str
    probability: float
    repurchase: float | None
    value: float | None


class Contribution(Struct, frozen=True):
    """How far one fact moved the value of the action over control, in the programme's currency."""

    feature: str
    found: str | float | None
    effect: float


class DeliveryAnswer(Struct, frozen=True):
    """What became of telling a system that delivers: `waiting`, `delivered`, `withheld` or `dead`; and why."""

    endpoint: str
    state: str
    attempts: int
    changed_at: datetime
    note: str


class DecisionRecord(DecisionAnswer, frozen=True, kw_only=True):
    """A past decision with the whole distribution it was drawn from, what was known, and why."""

    customer_id: str
    trigger: str
    store: str | None
    order_id: str
    distribution: tuple[ActionChance, ...]
    context: dict[str, str | float | None]
    contributions: tuple[Contribution, ...]
    reward: RewardAnswer | None
    deliveries: tuple[DeliveryAnswer, ...]


class RewardAnswer(Struct, frozen=True):
    """What the decision has brought so far, net of refunds; money in the programme's currency."""

    status: str
    visited: bool
    repurchased: bool
    redeemed: bool
    revenue: Decimal
    margin: Decimal
    cost: Decimal
    value: Decimal


class RejectedEvent(Struct, frozen=True):
    """An event of the batch that could not be used; the others were taken."""

    index: int
    detail: str
    pointer: str


class EventReceipt(Struct, frozen=True):
    """What became of the events. Accepted ones are durable; duplicates were known already."""

    accepted: int
    duplicates: int
    rejected: tuple[RejectedEvent, ...]


class PolicyAnswer(Struct, frozen=True):
    """What serves now."""

    policy_version: str
    policy: str
    programme: str
    programme_digest: str
    simulated: bool
    learned_outcomes: int
    actions: tuple[str, ...]
    provenance: dict[str, Any] | None


class Problem(Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details, with the place of the mistake and what to do."""

    type: str
    title: str
    status: int
    detail: str
    hint: str = ""
    pointer: str = ""
