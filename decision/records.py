"""The nouns: frozen records that every room shares. Times are UTC and aware; money is whole micros.

Those that every decision makes anew are structs: a frozen dataclass takes several times as long to be made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
ContextValue = float | str | None

CONTROL = "control"
TRIAL_PREFIX = "trial:"
OBSERVATIONAL_PREFIX = "observational:"
ESTIMATED_PROPENSITY = "estimated_propensity"


class Group(StrEnum):
    """Measurement groups: what may decide for a customer, fixed by a salted hash."""

    HOLDOUT = "holdout"
    RANDOM = "random"
    BUSINESS_AS_USUAL = "business_as_usual"
    POLICY = "policy"


class Reason(StrEnum):
    """Why an action was removed, or why the answer is control: the codes of the API."""

    HOLDOUT = "holdout"
    NOT_ELIGIBLE = "not_eligible"
    OPTED_OUT = "opted_out"
    RETURN_ABUSE = "return_abuse"
    EXCLUDED_PRODUCT = "excluded_product"
    RULE_NOT_MET = "rule_not_met"
    RULE_FAILED = "rule_failed"
    NO_CONSENT = "no_consent"
    QUIET_HOURS = "quiet_hours"
    FREQUENCY_CAP = "frequency_cap"
    REMOVED_BY_RULE = "removed_by_rule"
    BUDGET_EXHAUSTED = "budget_exhausted"
    MARGIN_FLOOR = "margin_floor"
    NOT_IN_STORE = "not_in_store"
    NOT_FOR_TRIGGER = "not_for_trigger"
    NOT_IN_SEASON = "not_in_season"
    BELOW_MIN_BASKET = "below_min_basket"
    NOT_A_CANDIDATE = "not_a_candidate"
    NOT_IN_POLICY = "not_in_policy"
    NO_POLICY = "no_policy_promoted"
    POLICY_MISSING = "policy_missing"
    FAULT = "fault"
    DEADLINE = "deadline"
    RANDOM = "random_group"
    BUSINESS_AS_USUAL = "business_as_usual"
    HIGHEST_VALUE = "highest_value"
    BUDGET_PACED = "budget_paced"
    EXPLORED = "explored"


class RewardStatus(StrEnum):
    """A reward is provisional until its window and refund time are over; later refunds revise it."""

    PROVISIONAL = "provisional"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Action:
    """What the service may do: an offer through a channel, or `control` (do nothing).

    `redeemable` says whether there is something to redeem, for which a coupon is made: a plain message has nothing.
    `action_id` is `offer@channel`, or `control`.
    """

    offer: str
    channel: str
    redeemable: bool = field(default=True, compare=False)
    action_id: str = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Name it once: every decision asks for the names of all actions."""
        name = CONTROL if self.channel == CONTROL else f"{self.offer}@{self.channel}"
        object.__setattr__(self, "action_id", name)

    @property
    def is_control(self) -> bool:
        """Return whether this is the do-nothing action."""
        return self.channel == CONTROL


CONTROL_ACTION = Action(offer="none", channel=CONTROL, redeemable=False)


@dataclass(frozen=True, slots=True)
class Menu:
    """Actions that may be chosen among, control first, and their ids in the same order."""

    actions: tuple[Action, ...]
    ids: tuple[str, ...]

    @classmethod
    def of(cls, actions: Iterable[Action]) -> Menu:
        """Return a menu of actions."""
        kept = tuple(actions)
        return cls(kept, tuple([action.action_id for action in kept]))


CONTROL_ALONE = Menu.of((CONTROL_ACTION,))


@lru_cache(maxsize=4096)
def action_named(action_id: str) -> Action:
    """Return the action that an id such as `bogo@email` names, also one that the programme has dropped since."""
    offer, _, channel = action_id.partition("@")
    return Action(offer, channel) if channel else CONTROL_ACTION


class Order(Struct, frozen=True):
    """The order (or the returned part of one) that triggered a decision."""

    order_id: str
    total_micros: int
    discount_micros: int = 0
    products: tuple[str, ...] = ()
    item_count: int = 1
    return_reason: str | None = None


class DecisionRequest(Struct, frozen=True):
    """What the checkout asks. `fingerprint` is a hash of the body: the same id must bring the same body.

    `recommendations` is how many products are wanted with the answer; None where nobody asked.
    """

    decision_id: str
    customer_id: str
    trigger: str
    order: Order
    store: str | None
    fingerprint: str
    features: Mapping[str, ContextValue] = msgspec.field(default_factory=dict)
    offers: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    consent: Mapping[str, bool] = msgspec.field(default_factory=dict)
    recommendations: int | None = None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A product for this customer: `code` says why, `because` which product led to it, if one did."""

    product: str
    score: float
    code: str
    because: str | None = None


@dataclass(frozen=True, slots=True)
class Recommended:
    """What was recommended with a decision, best first, from which version; `code` and `detail` say why it is less.

    `withheld` counts the candidates that were held back, by reason.
    """

    products: tuple[Recommendation, ...]
    version: str | None
    code: str
    detail: str
    withheld: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Consent:
    """Whether a customer may be reached through a channel, and since when."""

    given: bool
    at: datetime


EVERY_CHANNEL = "*"


@dataclass(frozen=True, slots=True)
class ProfileSource:
    """Where values of a profile come from, what was known for them (strictly before `as_of`), and of which version."""

    name: str
    as_of: datetime
    version: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What was worked out of a customer offline: values by name, and where they come from."""

    values: Mapping[str, ContextValue] = field(default_factory=dict)
    sources: tuple[ProfileSource, ...] = ()


NO_PROFILE = Profile()


class Customer(Struct, frozen=True):
    """What the ledger knows of a customer at a moment.

    `version` is the ledger's sequence number of her last decision: a later one means her state has changed.
    `contacts` are the times of the treatments that were asked for, newest first; `consent` maps a channel, or `*` for
    all, to her word.
    """

    customer_id: str
    orders: int = 0
    returns: int = 0
    revenue_micros: int = 0
    first_order_at: datetime | None = None
    last_order_at: datetime | None = None
    consent: Mapping[str, Consent] = msgspec.field(default_factory=dict)
    contacts: tuple[datetime, ...] = ()
    version: int = 0
    profile: Profile = NO_PROFILE

    @property
    def opted_out(self) -> bool:
        """Return whether she wants nothing at all."""
        everything = self.consent.get(EVERY_CHANNEL)
        return everything is not None and not everything.given

    def consented(self, channel: str) -> bool | None:
        """Return her word on a channel, or None when she has given none."""
        consent = self.consent.get(channel)
        return None if consent is None else consent.given


@dataclass(frozen=True, slots=True)
class Rejection:
    """An action that a guardrail removed, and why."""

    action_id: str
    reason: Reason
    detail: str


class Components(Struct, frozen=True):
    """What the uplift models predict for K actions; arrays of shape [K]; `basket` in currency units."""

    visit: FloatArray
    repurchase: FloatArray
    basket: FloatArray
    redemption: FloatArray


class Reservation(Struct, frozen=True):
    """Money or one piece of a budget that a decision takes; `limit` None counts without limiting."""

    budget_key: str
    amount_micros: int
    limit_micros: int | None
    limit_count: int | None


class Promise(Struct, frozen=True):
    """What the customer is told she gets: the offer's kind, and its terms as JSON has them."""

    kind: str
    terms: Mapping[str, Any]


class Decision(Struct, frozen=True):
    """One ledger record: everything needed to answer again, to explain, and to learn.

    What the offer promises and costs, and the end of the attribution window, are written down as they were when it was
    given: the programme may change or drop them later. `promise` is None for control; records that are older than a
    field with a default lack it.
    """

    decision_id: str
    customer_id: str
    trigger: str
    store: str | None
    order_id: str
    decided_at: datetime
    group: Group
    action_id: str
    propensity: float
    policy_version: str
    allowed: tuple[str, ...]
    distribution: tuple[float, ...]
    context: Mapping[str, ContextValue]
    predictions: Mapping[str, tuple[float | None, ...]]
    rejected: tuple[Rejection, ...]
    reasons: tuple[tuple[str, str], ...]
    expires_at: datetime | None
    matures_at: datetime
    contact_cost_micros: int
    fingerprint: str
    coupon: str | None = None
    redemption_cost_micros: int = 0
    redemption_share: float = 0.0
    promise: Promise | None = None
    window_ends_at: datetime | None = None
    recommended: Recommended | None = None
    profile_sources: tuple[ProfileSource, ...] = ()

    @property
    def imported(self) -> bool:
        """Return whether this is a row of a past log, whose reward came with it and is never recomputed."""
        return self.policy_version.startswith((TRIAL_PREFIX, OBSERVATIONAL_PREFIX))

    @property
    def observational(self) -> bool:
        """Return whether nothing was drawn: who got which action is only estimated, under `estimated_propensity`.

        Offline models may learn from it; it never judges a policy nor teaches the bandit.
        """
        return self.policy_version.startswith(OBSERVATIONAL_PREFIX)

    def prediction(self, name: str, action_id: str) -> float | None:
        """Return what was predicted for an allowed action: `repurchase` odds or `value`; None where nothing was."""
        values = self.predictions.get(name)
        return None if values is None else values[self.allowed.index(action_id)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """An observed fact: an event of the shop, kept as it came. `name` is Segment's event name."""

    message_id: str
    name: str
    customer_id: str
    occurred_at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reward:
    """What a decision brought inside its window, net of refunds. Money in micros; `value` under the store's goal.

    `first_order_at` is when the first order that counts was placed, None where there is none or it isn't known.
    """

    decision_id: str
    status: RewardStatus
    visited: bool
    repurchased: bool
    redeemed: bool
    revenue_micros: int
    margin_micros: int
    cost_micros: int
    value_micros: int
    computed_at: datetime
    first_order_at: datetime | None = None
