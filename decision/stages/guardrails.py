"""Limits on actions at decision time. Each removed action carries a reason code; control always remains."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from math import inf
from typing import NamedTuple

from decision.money import MICROS
from decision.programme.model import Budget, Channel, Programme, Removal
from decision.records import CONTROL, Action, Customer, DecisionRequest, Reason, Rejection, Reservation
from decision.stages import eligibility


@dataclass(frozen=True, slots=True)
class Used:
    """What is reserved or spent of a budget in its period."""

    amount_micros: int = 0
    count: int = 0


# Why an action is removed, as a code and a sentence.
_Found = tuple[Reason, str] | None


class _OfOffer(NamedTuple):
    """What speaks against all actions of an offer; `held` is what its budgets have for contact, in micros."""

    candidate: _Found
    placement: _Found
    margin: _Found
    held: float


class _OfChannel(NamedTuple):
    """What speaks against all actions of a channel."""

    candidate: _Found
    reach: _Found


_NOTHING = Used()
_UNKNOWN = (Reason.NOT_IN_POLICY, "the policy was trained before this action existed")


@dataclass(frozen=True, slots=True)
class Situation:
    """What the guardrails look at.

    `used` is what is taken of budgets; `exhausted` are those that another decision has just used up; `catalogue` are
    the actions the acting policy was trained with, None where any will do.
    """

    request: DecisionRequest
    customer: Customer
    now: datetime
    used: Mapping[str, Used]
    exhausted: frozenset[str]
    catalogue: Container[str] | None = None


class Purse:
    """What actions take of budgets in a store, now, for the dearest case: contact plus a full redemption.

    What is not redeemed is released when the offer expires.
    """

    def __init__(self, programme: Programme, *, store: str | None, basket_micros: int, now: datetime) -> None:
        """`basket_micros` is the basket that a redemption is priced on."""
        self.basket_micros = basket_micros
        self._contact = programme.contact_costs
        self._programme = programme
        self._budgets = programme.budgets_in(store, now)

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of the budgets that an action here might take from."""
        return self._budgets.keys

    def of_offer(self, action: Action) -> tuple[int, tuple[tuple[str, Budget], ...]]:
        """Return what a redemption of a treatment's offer takes in micros, and from which budgets, with their keys."""
        redemption = self._programme.redemption_cost_micros(action, self.basket_micros)
        return redemption, self._budgets.by_offer[action.offer]

    def dearest(self, actions: Iterable[Action]) -> tuple[Reservation, ...]:
        """Return, for each budget that one of the actions needs, the most that one of them takes.

        Of the action that is given, this is what to reserve. Of all that are allowed, it must still be there when a
        decision among them is written: were only the drawn action's budget looked at, the decisions that are written
        would depend on the draw, and their propensities would be wrong.
        """
        dearest: dict[str, tuple[int, Action]] = {}
        for action in actions:
            if action.channel != CONTROL:
                contact, known = self._contact[action.action_id], dearest.get(action.offer)
                if known is None or contact > known[0]:
                    dearest[action.offer] = contact, action
        found: dict[str, tuple[int, Budget]] = {}
        for contact, action in dearest.values():
            redemption, budgets = self.of_offer(action)
            amount = redemption + contact
            for key, budget in budgets:
                if key not in found or amount > found[key][0]:
                    found[key] = amount, budget
        return tuple(Reservation(key, amount, b.amount_micros, b.count) for key, (amount, b) in found.items())


def apply(programme: Programme, situation: Situation, purse: Purse) -> tuple[tuple[Action, ...], tuple[Rejection, ...]]:
    """Return the allowed actions (control first) and the rejected ones with their reasons; of several the first."""
    allowed: list[Action] = []
    rejected: list[Rejection] = []
    checks = _Checks(programme, situation, purse)
    # What depends on the offer or the channel alone is found once for each; what is left to do for each action is no
    # more than looking at it, as there are many.
    offers: dict[str, _OfOffer] = {}
    channels = {name: checks.of_channel(channel) for name, channel in programme.channels.items()}
    capped, contact, catalogue = _frequency_cap(programme, situation), programme.contact_costs, situation.catalogue
    for action in programme.actions:
        if action.channel == CONTROL:
            allowed.append(action)
            continue
        offer = offers.get(action.offer)
        if offer is None:
            offer = offers[action.offer] = checks.of_offer(action)
        candidate, placement, margin, held = offer
        channel_candidate, reach = channels[action.channel]
        found = (
            capped
            or candidate
            or channel_candidate
            or placement
            or reach
            or margin
            or (None if contact[action.action_id] <= held else checks.used_up(action))
            or (None if catalogue is None or action.action_id in catalogue else _UNKNOWN)
        )
        if found is None:
            allowed.append(action)
        else:
            rejected.append(Rejection(action.action_id, *found))
    if removals := _removals(programme, situation):
        return _without(allowed, removals, rejected)
    return tuple(allowed), tuple(rejected)


def _removals(programme: Programme, situation: Situation) -> list[Removal]:
    """Return the shop's own rules that are true; one that can't be evaluated is not."""
    if not programme.guardrails.removals:
        return []
    about = eligibility.facts(situation.request, situation.customer)
    return [removal for removal in programme.guardrails.removals if eligibility.is_true(removal.when, about)]


def _without(
    allowed: Iterable[Action], removals: Sequence[Removal], rejected: Iterable[Rejection]
) -> tuple[tuple[Action, ...], tuple[Rejection, ...]]:
    kept, gone = [], [*rejected]
    for action in allowed:
        found = None if action.channel == CONTROL else next((r for r in removals if r.covers(action)), None)
        if found is None:
            kept.append(action)
        else:
            gone.append(Rejection(action.action_id, Reason.REMOVED_BY_RULE, f"the rule {found.name}: {found.when}"))
    return tuple(kept), tuple(gone)


def recent_contacts(programme: Programme, customer: Customer, *, now: datetime) -> int:
    """Return how many treatments count towards the frequency cap."""
    since = programme.frequency_since(now)
    return sum(contact > since for contact in customer.contacts)


def may_contact(channel: Channel, request: DecisionRequest, customer: Customer) -> bool:
    """Return whether the customer's word lets a channel be used, as far as she has given it."""
    known = customer.consented(channel.name)
    # A refusal counts on every channel; one that the ledger has seen is never overruled by what a caller believes.
    said = request.consent.get(channel.name, known)
    return known is not False and (said or (said is None and not channel.consent_required))


def _frequency_cap(programme: Programme, situation: Situation) -> _Found:
    cap, days = programme.guardrails.frequency_contacts, programme.guardrails.frequency_days
    if cap is None:
        return None
    recent = recent_contacts(programme, situation.customer, now=situation.now)
    if recent < cap:
        return None
    return Reason.FREQUENCY_CAP, f"{recent} treatments in the last {days} days, {cap} allowed"


class _Checks:
    """The checks of a decision."""

    def __init__(self, programme: Programme, situation: Situation, purse: Purse) -> None:
        self._programme = programme
        self._situation = situation
        self._purse = purse
        self._local = situation.now.astimezone(programme.timezone)

    def of_offer(self, action: Action) -> _OfOffer:
        """Return what speaks against all actions of an action's offer."""
        situation = self._situation
        redemption, budgets = self._purse.of_offer(action)
        held = inf
        for key, budget in budgets:
            held = min(held, self._held(key, budget))
        return _OfOffer(
            candidate=_candidate("offer", action.offer, situation.request.offers),
            placement=_placement(self._programme, action, situation, self._local),
            margin=_margin(self._programme, redemption, self._purse.basket_micros),
            held=held - redemption,
        )

    def of_channel(self, channel: Channel) -> _OfChannel:
        """Return what speaks against all actions of a channel."""
        situation = self._situation
        return _OfChannel(
            candidate=_candidate("channel", channel.name, situation.request.channels),
            reach=_consent(channel, situation) or _quiet(channel, self._local),
        )

    def used_up(self, action: Action) -> _Found:
        """Return which budget does not hold what an action takes."""
        redemption, budgets = self._purse.of_offer(action)
        amount = redemption + self._programme.contact_costs[action.action_id]
        names = [budget.name for key, budget in budgets if amount > self._held(key, budget)]
        return Reason.BUDGET_EXHAUSTED, f"budget {names[0]} is used up"

    def _held(self, key: str, budget: Budget) -> float:
        """Return how many micros a budget still holds for one more piece; below 0 where it holds none."""
        used = self._situation.used.get(key, _NOTHING)
        if key in self._situation.exhausted or (budget.count is not None and used.count >= budget.count):
            return -1
        return inf if budget.amount_micros is None else budget.amount_micros - used.amount_micros


def _candidate(what: str, name: str, named: Container[str] | None) -> _Found:
    if named is None or name in named:
        return None
    return Reason.NOT_A_CANDIDATE, f"the caller did not name {what} {name}"


def _placement(programme: Programme, action: Action, situation: Situation, local: datetime) -> _Found:
    offer, request = programme.offers[action.offer], situation.request
    if offer.stores and request.store not in offer.stores:
        return Reason.NOT_IN_STORE, f"{offer.name} is for {', '.join(sorted(offer.stores))}"
    if offer.triggers and request.trigger not in offer.triggers:
        return Reason.NOT_FOR_TRIGGER, f"{offer.name} is for {', '.join(sorted(offer.triggers))}"
    today = local.date()
    if (offer.valid_from and today < offer.valid_from) or (offer.valid_until and today > offer.valid_until):
        return Reason.NOT_IN_SEASON, f"{offer.name} is valid {offer.valid_from or '…'} to {offer.valid_until or '…'}"
    if request.order.total_micros < offer.min_basket_micros:
        return Reason.BELOW_MIN_BASKET, f"{offer.name} needs a basket of {offer.min_basket_micros / MICROS:g}"
    return None


def _consent(channel: Channel, situation: Situation) -> _Found:
    if may_contact(channel, situation.request, situation.customer):
        return None
    return Reason.NO_CONSENT, f"no consent for {channel.name}"


def _quiet(channel: Channel, local: datetime) -> _Found:
    hours = channel.quiet_hours
    if hours is None or not within(local.time(), *hours):
        return None
    return Reason.QUIET_HOURS, f"{channel.name} is quiet from {hours[0]:%H:%M} to {hours[1]:%H:%M}"


def within(clock: time, start: time, end: time) -> bool:
    """Return whether a local time lies in quiet hours, which may go over midnight."""
    return start <= clock < end if start <= end else clock >= start or clock < end


def _margin(programme: Programme, redemption_micros: int, basket_micros: int) -> _Found:
    floor = programme.guardrails.margin_floor
    if floor is None or basket_micros == 0:
        return None
    kept = programme.gross_margin - redemption_micros / basket_micros
    if kept >= floor:
        return None
    return Reason.MARGIN_FLOOR, f"a redemption on a basket of {basket_micros / MICROS:.2f} leaves {kept:.0%}"


def fits(reservation: Reservation, used: Used) -> bool:
    """Return whether a budget with `used` taken still holds the reservation."""
    limit, count = reservation.limit_micros, reservation.limit_count
    if limit is not None and used.amount_micros + reservation.amount_micros > limit:
        return False
    return count is None or used.count < count
