"""The programme: what the marketer decided, as frozen records. Read from `programme.toml` by `read`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from decision.errors import UnknownName
from decision.money import MICROS
from decision.programme.metrics import DeclaredMetric
from decision.records import CONTROL_ACTION, Action, FloatArray, Group, Menu

TRIGGERS = ("purchase", "return")
OFFER_KINDS: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "percent_discount": ("percent",),
    "bogo": ("buy", "get"),
    "points_multiplier": ("multiplier",),
    "free_shipping": (),
}
PERIODS = ("day", "week", "month", "programme")
# Some day of the next period is so many days after the first of one.
PERIOD_DAYS = {"day": 1, "week": 7, "month": 31}
# What every context holds: `stages.context.build` writes these, so that no feature may take their names. It adds one
# `consent.<channel>` each, which no feature can be called: names have no dots.
FACTS = (
    "trigger",
    "store",
    "region",
    "order_total",
    "order_discount",
    "order_items",
    "customer_orders",
    "customer_returns",
    "customer_revenue",
    "days_since_last_order",
    "recent_contacts",
)


@dataclass(frozen=True, slots=True)
class Goal:
    """What a component is worth: weights on money, and money per visit and per repurchase.

    value = profit * margin + revenue * revenue + traffic * visits + loyalty * repurchases - cost of the offer
    """

    profit: float = 1.0
    revenue: float = 0.0
    traffic: float = 0.0
    loyalty: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What an offer costs: always on contact, and on redemption a flat amount plus a share of the basket."""

    on_contact_micros: int = 0
    on_redemption_micros: int = 0
    share_of_basket: float = 0.0

    def of_redemption(self, basket_micros: int) -> int:
        """Return what a redemption on a basket costs in micros: the flat part plus the share."""
        return self.on_redemption_micros + round(self.share_of_basket * basket_micros)


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to reach the customer. `quiet_hours` are local (start, end); start may be after end (over midnight)."""

    name: str
    contact_cost_micros: int
    consent_required: bool
    quiet_hours: tuple[time, time] | None


@dataclass(frozen=True, slots=True)
class Offer:
    """An incentive with its terms, its cost, and where it may be given. Empty sets mean everywhere."""

    name: str
    kind: str
    terms: Mapping[str, Any]
    cost: Cost
    channels: tuple[str, ...]
    stores: frozenset[str]
    triggers: frozenset[str]
    min_basket_micros: int
    validity_days: int
    valid_from: date | None
    valid_until: date | None


@dataclass(frozen=True, slots=True)
class Store:
    """A store, the region it is in, and the goal that holds there; `domain` is what its webhooks come from."""

    name: str
    region: str | None
    goal: Goal
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """A limit on money or pieces, for an offer, a store, both or all, per calendar period in the shop's time zone.

    With `pacing` a shadow price spreads it over its period; without, it goes to the first comers.
    """

    name: str
    offer: str | None
    store: str | None
    period: str
    amount_micros: int | None
    count: int | None
    pacing: bool = True

    @property
    def paced(self) -> bool:
        """Return whether a shadow price spreads the budget: what has no end can't be spread until then."""
        return self.pacing and self.period in PERIOD_DAYS

    def covers(self, action: Action, store: str | None) -> bool:
        """Return whether an action (not control) in a store takes from this budget."""
        return self.offer in (None, action.offer) and self.store in (None, store)


@dataclass(frozen=True, slots=True)
class Removal:
    """A rule of the shop: where `when`, a CEL expression, is true, these offers and channels are not given.

    Empty sets mean every offer or channel.
    """

    name: str
    when: str
    offers: frozenset[str]
    channels: frozenset[str]

    def covers(self, action: Action) -> bool:
        """Return whether the rule is about an action (not control)."""
        return (not self.offers or action.offer in self.offers) and (
            not self.channels or action.channel in self.channels
        )


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits on actions at decision time."""

    frequency_contacts: int | None
    frequency_days: int
    margin_floor: float | None
    removals: tuple[Removal, ...] = ()


GUARDRAIL_METRICS: Mapping[str, str] = {"unsubscribes": "harm", "returns": "harm", "margin": "off"}
BURDENS = ("harm", "safety", "off")


@dataclass(frozen=True, slots=True)
class GuardrailRule:
    """A metric that may veto a promotion: the worsening per decision that is tolerated, and what must be proven.

    `burden` is `harm` (a proven harm vetoes) or `safety` (what isn't proven harmless vetoes).
    """

    metric: str
    tolerance: float
    burden: str


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Who may be treated at all. `rules` are CEL expressions that must all hold.

    With `avoid_problem_products`, what `encore complaints` found to be a problem is excluded too.
    """

    max_return_rate: float | None
    return_rate_min_orders: int
    excluded_products: frozenset[str]
    rules: tuple[str, ...]
    avoid_problem_products: bool = False


@dataclass(frozen=True, slots=True)
class Feature:
    """A fact the caller may send with a decision: `number` or `category`."""

    name: str
    kind: str


# What is done with orders of guests: left aside, or known by a keyed hash of their e-mail address.
GUESTS = ("aside", "email")
AGGREGATIONS = ("earliest", "latest", "sum")


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How ranked events are explored and rewarded; the defaults are those of Azure AI Personalizer.

    `exploration` is the share of events that is spread evenly over the allowed actions.
    """

    reward_wait: timedelta = timedelta(minutes=10)
    default_reward: float = 0.0
    aggregation: str = "earliest"
    exploration: float = 0.2


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days each kind of row is kept in the ledger; None keeps it for ever."""

    decisions_days: int | None = None
    events_days: int | None = None
    customers_days: int | None = None
    deliveries_days: int | None = None
    inbox_days: int | None = None
    ranked_days: int | None = None

    def days(self) -> dict[str, int]:
        """Return the limits that are set, by kind; what refers to others comes before them."""
        limits = {
            "decisions": self.decisions_days,
            "events": self.events_days,
            "customers": self.customers_days,
            "deliveries": self.deliveries_days,
            "inbox": self.inbox_days,
            "ranked": self.ranked_days,
        }
        return {name: days for name, days in limits.items() if days is not None}


@dataclass(frozen=True, slots=True)
class Budgets:
    """The budgets of a store in their periods of a day: their ledger keys, and by offer those it takes from.

    `limits` are the money in micros and the pieces that each has, None where there is no limit.
    """

    keys: tuple[str, ...]
    by_offer: Mapping[str, tuple[str, ...]]
    limits: Mapping[str, tuple[int | None, int | None]]


@dataclass(frozen=True)
class Programme:
    """Everything the marketer decides, validated. `digest` is a hash of the file it was read from.

    It has no slots: what every decision asks of it is worked out once and kept.
    """

    name: str
    currency: str
    timezone: ZoneInfo
    salt: str
    attribution_window_days: int
    refund_window_days: int
    gross_margin: float
    exploration_floor: float
    simulated: bool
    goal: Goal
    shares: Mapping[Group, float]
    business_as_usual: Mapping[str, str]
    channels: Mapping[str, Channel]
    offers: Mapping[str, Offer]
    stores: Mapping[str, Store]
    budgets: tuple[Budget, ...]
    guardrails: Guardrails
    guardrail_metrics: tuple[GuardrailRule, ...]
    eligibility: Eligibility
    features: Mapping[str, Feature]
    actions: tuple[Action, ...]
    digest: str
    ranking: RankSettings = field(default_factory=RankSettings)
    retention: Retention = field(default_factory=Retention)
    guests: str = "aside"
    # The values of customers' profiles that decisions see, with their kinds: number or category.
    profile: Mapping[str, str] = field(default_factory=dict)
    # What the programme is measured by; empty for what it is measured by usually.
    metrics: tuple[DeclaredMetric, ...] = ()

    def action(self, action_id: str) -> Action:
        """Return the action with this id. Raises `UnknownName` when the programme has none."""
        for action in self.actions:
            if action.action_id == action_id:
                return action
        raise UnknownName(
            f"Expected an action of the programme, found {action_id!r}.",
            hint="Actions are `control` and `offer@channel` for every channel of an offer.",
        )

    def goal_of(self, store: str | None) -> Goal:
        """Return the goal of a store, or the programme's own where no store is given or it was dropped since."""
        known = None if store is None else self.stores.get(store)
        return self.goal if known is None else known.goal

    def store_at(self, domain: str) -> str | None:
        """Return the store whose webhooks come from a domain, None where the programme names none."""
        named = (store.name for store in self.stores.values() if store.domain == domain.lower())
        return next(named, None) if domain else None

    def check_store(self, store: str | None, *, pointer: str = "") -> None:
        """Raise `UnknownName` when `store` is given and unknown."""
        if store is not None and store not in self.stores:
            raise UnknownName(
                f"Expected a store of the programme at {pointer or 'store'}, found {store!r}.",
                hint=f"Known stores: {', '.join(sorted(self.stores)) or 'none; leave the store out'}.",
                pointer=pointer,
            )

    def frequency_since(self, at: datetime) -> datetime:
        """Return since when treatments count towards the frequency cap at a time."""
        return at - self._frequency

    @cached_property
    def _frequency(self) -> timedelta:
        return timedelta(days=self.guardrails.frequency_days)

    def window_ends_at(self, decided_at: datetime) -> datetime:
        """Return until when the orders of a customer count towards the reward of a decision."""
        return decided_at + self._window

    @cached_property
    def _window(self) -> timedelta:
        return timedelta(days=self.attribution_window_days)

    def matures_at(self, decided_at: datetime) -> datetime:
        """Return when the reward of a decision is final: window plus the time refunds are waited for."""
        return self.window_ends_at(decided_at) + timedelta(days=self.refund_window_days)

    @cached_property
    def menu(self) -> Callable[[frozenset[str], frozenset[str]], Menu]:
        """Return the programme's actions but for those of some offers and those of some channels, as a function."""

        def without(offers: frozenset[str], channels: frozenset[str]) -> Menu:
            return Menu.of(
                [a for a in self.actions if a.is_control or (a.offer not in offers and a.channel not in channels)]
            )

        # Customers differ in few ways by which offers and channels are open to them.
        return lru_cache(maxsize=512)(without)

    @cached_property
    def whole_menu(self) -> Menu:
        """Return all actions of the programme."""
        return Menu.of(self.actions)

    @cached_property
    def action_ids(self) -> frozenset[str]:
        """Return the ids of all actions."""
        return frozenset(self.whole_menu.ids)

    @cached_property
    def contact_costs(self) -> Mapping[str, int]:
        """Return what making contact costs in micros, by the ids of the programme's actions."""
        return {action.action_id: self.contact_cost_micros(action) for action in self.actions}

    @cached_property
    def dearest_contacts(self) -> Callable[[tuple[str, ...]], Mapping[str, int]]:
        """Return the most in micros that contact takes by the offers of actions, as a function of their ids."""

        def found(ids: tuple[str, ...]) -> Mapping[str, int]:
            dearest: dict[str, int] = {}
            for action in map(self.action, ids):
                if not action.is_control:
                    contact = self.contact_costs[action.action_id]
                    dearest[action.offer] = max(contact, dearest.get(action.offer, contact))
            return dearest

        return lru_cache(maxsize=512)(found)

    def contact_cost_micros(self, action: Action) -> int:
        """Return what making contact costs: the channel's price plus the offer's cost on contact."""
        if action.is_control:
            return 0
        return self.channels[action.channel].contact_cost_micros + self.offers[action.offer].cost.on_contact_micros

    @cached_property
    def costs(self) -> Callable[[tuple[str, ...]], FloatArray]:
        """Return what actions [K] cost, as a function of their ids.

        In currency units: on contact, on redemption, per unit of basket, [3, K].
        """
        costs = {
            action.action_id: (
                self.contact_cost_micros(action) / MICROS,
                self.cost_of(action).on_redemption_micros / MICROS,
                self.cost_of(action).share_of_basket,
            )
            for action in self.actions
        }
        # The same few sets of actions are allowed again and again.
        return lru_cache(maxsize=256)(lambda ids: np.array([costs[action_id] for action_id in ids], dtype=float).T)

    def cost_of(self, action: Action) -> Cost:
        """Return what the offer of an action costs; nothing for control."""
        return Cost() if action.is_control else self.offers[action.offer].cost

    def redemption_cost_micros(self, action: Action, basket_micros: int) -> int:
        """Return what a redemption costs on a basket of `basket_micros`: the flat part plus the share."""
        return self.cost_of(action).of_redemption(basket_micros)

    def budget_key(self, budget: Budget, at: datetime) -> str:
        """Return the ledger key of a budget in the period that holds `at`, in the shop's time zone."""
        return _key(budget, at.astimezone(self.timezone).date())

    def budget_keys(self, at: datetime) -> Mapping[str, str]:
        """Return the ledger keys of all budgets by their names."""
        day = at.astimezone(self.timezone).date()
        return {budget.name: _key(budget, day) for budget in self.budgets}

    def budgets_in(self, store: str | None, at: datetime) -> Budgets:
        """Return the budgets that a decision in a store might take from."""
        return self._budgets_on(at.astimezone(self.timezone).date(), store)

    @cached_property
    def _budgets_on(self) -> Callable[[date, str | None], Budgets]:
        def found(day: date, store: str | None) -> Budgets:
            budgets = [(_key(b, day), b) for b in self.budgets if b.store in (None, store)]
            return Budgets(
                keys=tuple(key for key, _ in budgets),
                by_offer={name: tuple(k for k, b in budgets if b.offer in (None, name)) for name in self.offers},
                limits={key: (budget.amount_micros, budget.count) for key, budget in budgets},
            )

        # A caller's store was checked before: there are as many sets as stores, on two days around midnight.
        return lru_cache(maxsize=512)(found)

    def period_of(self, budget: Budget, at: datetime) -> tuple[datetime, datetime] | None:
        """Return when the period of a budget that holds `at` begins and ends, in UTC; None where it never ends."""
        first = _first_day(budget.period, at.astimezone(self.timezone).date())
        if first is None:
            return None
        following = _first_day(budget.period, first + timedelta(days=PERIOD_DAYS[budget.period]))
        days = (first, following or first)
        start, end = (datetime.combine(day, time(), self.timezone).astimezone(UTC) for day in days)
        return start, end

    def expires_at(self, action: Action, decided_at: datetime) -> datetime | None:
        """Return when an offer given now is no longer valid, in UTC; None for control."""
        if action.is_control:
            return None
        offer = self.offers[action.offer]
        expires = decided_at + timedelta(days=offer.validity_days)
        if offer.valid_until is not None:
            day_after = datetime.combine(offer.valid_until + timedelta(days=1), time(), self.timezone)
            expires = min(expires, day_after.astimezone(UTC))
        return expires


def _first_day(period: str, day: date) -> date | None:
    """Return the first day of the period that holds `day`; None where it is the whole programme."""
    return {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}.get(period)


def _key(budget: Budget, local: date) -> str:
    start = _first_day(budget.period, local)
    return f"{budget.name}|{start.isoformat() if start else 'programme'}"


def actions_of(offers: Mapping[str, Offer]) -> tuple[Action, ...]:
    """Return control and every (offer, channel) pair, in the order of the file."""
    pairs = [Action(o.name, c, redeemable=o.kind != "none") for o in offers.values() for c in o.channels]
    return (CONTROL_ACTION, *pairs)
