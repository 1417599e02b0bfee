"""Limits on actions at decision time. Each removed action carries a reason code; control always remains."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time
from math import inf
from typing import NamedTuple

from msgspec import Struct

from decision.money import MICROS
from decision.programme.model import Channel, Offer, Programme, Removal
from decision.records import (
    CONTROL,
    CONTROL_ALONE,
    Action,
    Customer,
    DecisionRequest,
    Menu,
    Reason,
    Rejection,
    Reservation,
)
from decision.stages import eligibility


class Used(Struct, frozen=True):
    """What is reserved or spent of a budget in its period."""

    amount_micros: int = 0
    count: int = 0


# Why an action is removed, as a code and a sentence.
_Found = tuple[Reason, str] | None


class _OfOffer(NamedTuple):
    """What speaks against all actions of an offer."""

    candidate: _Found = None
    placement: _Found = None
    margin: _Found = None


class _OfChannel(NamedTuple):
    """What speaks against all actions of a channel."""

    candidate: _Found = None
    reach: _Found = None


_NOTHING = Used()
_OPEN_OFFER, _OPEN_CHANNEL = _OfOffer(), _OfChannel()
_UNKNOWN = (Reason.NOT_IN_POLICY, "the policy was trained before this action existed")


class Reach(Struct, frozen=True):
    """How a customer may be reached now: whether by each channel, and how many treatments count towards the cap."""

    channels: Mapping[str, bool]
    recent_contacts: int


class Situation(Struct, frozen=True):
    """What the guardrails look at.

    `used` is what is taken of budgets; `exhausted` are those that another decision has just used up; `catalogue` are
    the actions the acting policy was trained with, None where any will do.
    """

    request: DecisionRequest
    customer: Customer
    reach: Reach
    now: datetime
    used: Mapping[str, Used]
    exhausted: frozenset[str]
    catalogue: Set[str] | None = None


class Purse:
    """What actions take of budgets in a store, now, for the dearest case: contact plus a full redemption.

    What is not redeemed is released when the offer expires.
    """

    def __init__(self, programme: Programme, *, store: str | None, basket_micros: int, now: datetime) -> None:
        """`basket_micros` is the basket that a redemption is priced on."""
        self.basket_micros = basket_micros
        self.budgets = programme.budgets_in(store, now)
        # What a redemption takes in micros, by offer.
        self.redemptions = {name: offer.cost.of_redemption(basket_micros) for name, offer in programme.offers.items()}
        self._programme = programme

    def dearest(self, ids: tuple[str, ...]) -> tuple[Reservation, ...]:
        """Return, for each budget that one of some actions needs, the most that one of them takes.

        Of the action that is given, this is what to reserve. Of all that are allowed, it must still be there when a
        decision among them is written: were only the drawn action's budget looked at, the decisions that are written
        would depend on the draw, and their propensities would be wrong.
        """
        found: dict[str, int] = {}
        for offer, contact in self._programme.dearest_contacts(ids).items():
            amount = self.redemptions[offer] + contact
            for key in self.budgets.by_offer[offer]:
                if amount > found.get(key, -1):
                    found[key] = amount
        limits = self.budgets.limits
        return tuple([Reservation(key, amount, *limits[key]) for key, amount in found.items()])


def apply(programme: Programme, situation: Situation, purse: Purse) -> tuple[Menu, tuple[Rejection, ...]]:
    """Return the allowed actions and the rejected ones with their reasons; of several the first."""
    checks = _Checks(programme, situation, purse)
    # Most of what can speak against an action does so against all of its offer or its channel.
    menu = CONTROL_ALONE if checks.capped else programme.menu(frozenset(checks.offers), frozenset(checks.channels))
    if checks.scarce or not checks.all_known:
        menu = Menu.of([a for a in menu.actions if a.channel == CONTROL or checks.against(a) is None])
    rejected: tuple[Rejection, ...] = ()
    if len(menu.ids) < len(programme.actions):
        found = [(a, checks.against(a)) for a in programme.actions if a.action_id not in menu.ids]
        rejected = tuple([Rejection(action.action_id, *why) for action, why in found if why])
    if removals := _removals(programme, situation):
        return _without(menu, removals, rejected)
    return menu, rejected


def _removals(programme: Programme, situation: Situation) -> list[Removal]:
    """Return the shop's own rules that are true; one that can't be evaluated is not."""
    if not programme.guardrails.removals:
        return []
    about = eligibility.facts(situation.request, situation.customer)
    return [removal for removal in programme.guardrails.removals if eligibility.is_true(removal.when, about)]


def _without(
    menu: Menu, removals: Sequence[Removal], rejected: Iterable[Rejection]
) -> tuple[Menu, tuple[Rejection, ...]]:
    kept, gone = [], [*rejected]
    for action in menu.actions:
        found = None if action.channel == CONTROL else next((r for r in removals if r.covers(action)), None)
        if found is None:
            kept.append(action)
        else:
            gone.append(Rejection(action.action_id, Reason.REMOVED_BY_RULE, f"the rule {found.name}: {found.when}"))
    return Menu.of(kept), tuple(gone)


def reach_of(programme: Programme, request: DecisionRequest, customer: Customer, *, now: datetime) -> Reach:
    """Return how a customer may be reached, as far as her word and past treatments go."""
    recent = 0
    if customer.contacts:
        since = programme.frequency_since(now)
        recent = sum(contact > since for contact in customer.contacts)
    told = request.consent
    if not customer.consent:
        return Reach({n: told.get(n, not c.consent_required) for n, c in programme.channels.items()}, recent)
    return Reach({n: _may_contact(c, request, customer) for n, c in programme.channels.items()}, recent)


def _may_contact(channel: Channel, request: DecisionRequest, customer: Customer) -> bool:
    known = customer.consented(channel.name)
    # A refusal counts on every channel; one that the ledger has seen is never overruled by what a caller believes.
    said = request.consent.get(channel.name, known)
    return known is not False and (said or (said is None and not channel.consent_required))


def _frequency_cap(programme: Programme, recent: int) -> _Found:
    cap, days = programme.guardrails.frequency_contacts, programme.guardrails.frequency_days
    if cap is None or recent < cap:
        return None
    return Reason.FREQUENCY_CAP, f"{recent} treatments in the last {days} days, {cap} allowed"


class _Checks:
    """What speaks against the actions of a decision.

    `offers` and `channels` hold what does so against all actions of one; `scarce` are the offers of which a budget does
    not hold every action; `all_known` says whether the acting policy knows all actions.
    """

    def __init__(self, programme: Programme, situation: Situation, purse: Purse) -> None:
        self._programme = programme
        self._situation = situation
        self._purse = purse
        local = situation.now.astimezone(programme.timezone)
        catalogue = situation.catalogue
        self.capped = _frequency_cap(programme, situation.reach.recent_contacts)
        self.offers = self._closed_offers(local.date())
        self.channels = self._closed_channels(local.time())
        self.scarce = self._scarce_offers()
        self.all_known = catalogue is None or catalogue >= programme.action_ids

    def _closed_offers(self, today: date) -> dict[str, _OfOffer]:
        programme, purse, request = self._programme, self._purse, self._situation.request
        most = _most_of_a_redemption(programme, purse.basket_micros)
        closed = {}
        for name, offer in programme.offers.items():
            candidate = None if request.offers is None else _candidate("offer", name, request.offers)
            placement = _placement(offer, request, today)
            margin = _margin(programme, purse, name) if purse.redemptions[name] > most else None
            if candidate or placement or margin:
                closed[name] = _OfOffer(candidate, placement, margin)
        return closed

    def _closed_channels(self, clock: time) -> dict[str, _OfChannel]:
        request, may_reach = self._situation.request, self._situation.reach.channels
        closed = {}
        for name, channel in self._programme.channels.items():
            candidate = None if request.channels is None else _candidate("channel", name, request.channels)
            reach = _quiet(channel, clock) if may_reach[name] else (Reason.NO_CONSENT, f"no consent for {name}")
            if candidate or reach:
                closed[name] = _OfChannel(candidate, reach)
        return closed

    def _scarce_offers(self) -> frozenset[str]:
        budgets, redemptions = self._purse.budgets, self._purse.redemptions
        held = {key: self._held(key) for key in budgets.keys}
        return frozenset(
            [
                offer
                for offer, contact in self._programme.dearest_contacts(self._programme.whole_menu.ids).items()
                for key in budgets.by_offer[offer]
                if redemptions[offer] + contact > held[key]
            ]
        )

    def against(self, action: Action) -> _Found:
        """Return why a treatment is removed, if it is: of several reasons the first."""
        offer = self.offers.get(action.offer, _OPEN_OFFER)
        channel = self.channels.get(action.channel, _OPEN_CHANNEL)
        catalogue = self._situation.catalogue
        return (
            self.capped
            or offer.candidate
            or channel.candidate
            or offer.placement
            or channel.reach
            or offer.margin
            or (self._used_up(action) if action.offer in self.scarce else None)
            or (None if catalogue is None or action.action_id in catalogue else _UNKNOWN)
        )

    def _used_up(self, action: Action) -> _Found:
        """Return which budget does not hold what an action takes."""
        amount = self._purse.redemptions[action.offer] + self._programme.contact_costs[action.action_id]
        for key in self._purse.budgets.by_offer[action.offer]:
            if amount > self._held(key):
                return Reason.BUDGET_EXHAUSTED, f"budget {key.rpartition('|')[0]} is used up"
        return None

    def _held(self, key: str) -> float:
        """Return how many micros a budget still holds for one more piece; below 0 where it holds none."""
        amount, count = self._purse.budgets.limits[key]
        used = self._situation.used.get(key, _NOTHING)
        if key in self._situation.exhausted or (count is not None and used.count >= count):
            return -1
        return inf if amount is None else amount - used.amount_micros


def _candidate(what: str, name: str, named: Container[str]) -> _Found:
    if name in named:
        return None
    return Reason.NOT_A_CANDIDATE, f"the caller did not name {what} {name}"


def _placement(offer: Offer, request: DecisionRequest, today: date) -> _Found:
    if offer.stores and request.store not in offer.stores:
        return Reason.NOT_IN_STORE, f"{offer.name} is for {', '.join(sorted(offer.stores))}"
    if offer.triggers and request.trigger not in offer.triggers:
        return Reason.NOT_FOR_TRIGGER, f"{offer.name} is for {', '.join(sorted(offer.triggers))}"
    if (offer.valid_from and today < offer.valid_from) or (offer.valid_until and today > offer.valid_until):
        return Reason.NOT_IN_SEASON, f"{offer.name} is valid {offer.valid_from or '…'} to {offer.valid_until or '…'}"
    if request.order.total_micros < offer.min_basket_micros:
        return Reason.BELOW_MIN_BASKET, f"{offer.name} needs a basket of {offer.min_basket_micros / MICROS:g}"
    return None


def _quiet(channel: Channel, clock: time) -> _Found:
    hours = channel.quiet_hours
    if hours is None or not within(clock, *hours):
        return None
    return Reason.QUIET_HOURS, f"{channel.name} is quiet from {hours[0]:%H:%M} to {hours[1]:%H:%M}"


def within(clock: time, start: time, end: time) -> bool:
    """Return whether a local time lies in quiet hours, which may go over midnight."""
    return start <= clock < end if start <= end else clock >= start or clock < end


def _most_of_a_redemption(programme: Programme, basket_micros: int) -> float:
    """Return what a redemption on a basket may take in micros; more leaves less than the margin floor."""
    floor = programme.guardrails.margin_floor
    if floor is None or basket_micros == 0:
        return inf
    # Redemptions are whole micros: 20 % leave a tenth of three, whatever their floating-point numbers say.
    return (programme.gross_margin - floor) * basket_micros + 0.5


def _margin(programme: Programme, purse: Purse, offer: str) -> _Found:
    basket = purse.basket_micros
    kept = programme.gross_margin - purse.redemptions[offer] / basket
    return Reason.MARGIN_FLOOR, f"a redemption on a basket of {basket / MICROS:.2f} leaves {kept:.0%}"


def fits(reservation: Reservation, used: Used) -> bool:
    """Return whether a budget with `used` taken still holds the reservation."""
    limit, count = reservation.limit_micros, reservation.limit_count
    if limit is not None and used.amount_micros + reservation.amount_micros > limit:
        return False
    return count is None or used.count < count
