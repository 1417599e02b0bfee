"""Limits on actions at decision time. Each removed action carries a reason code; control always remains."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time

from decision.money import MICROS
from decision.programme.model import Channel, Programme
from decision.records import Action, Customer, DecisionRequest, Reason, Rejection, Reservation


@dataclass(frozen=True, slots=True)
class Used:
    """What is reserved or spent of a budget in its period."""

    amount_micros: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What the guardrails look at.

    `basket_micros` is the basket a redemption is priced on; `exhausted` are budgets that another decision has
    just used up; `catalogue` are the actions the acting policy was trained with, None where any will do.
    """

    request: DecisionRequest
    customer: Customer
    now: datetime
    used: Mapping[str, Used]
    exhausted: frozenset[str]
    basket_micros: int
    catalogue: Container[str] | None = None


def apply(programme: Programme, situation: Situation) -> tuple[tuple[Action, ...], tuple[Rejection, ...]]:
    """Return the allowed actions (control first) and the rejected ones with their reasons."""
    allowed: list[Action] = []
    rejected: list[Rejection] = []
    capped = _frequency_cap(programme, situation)
    clock = _Clock.at(programme, situation.now)
    for action in programme.actions:
        found = None if action.is_control else (capped or _check(programme, action, situation, clock))
        if found is None:
            allowed.append(action)
        else:
            rejected.append(Rejection(action.action_id, *found))
    return tuple(allowed), tuple(rejected)


def reservations(
    programme: Programme, action: Action, *, store: str | None, basket_micros: int, now: datetime
) -> tuple[Reservation, ...]:
    """Return what an action takes from every budget that covers it: contact plus a full redemption.

    The reservation is for the dearest case; what is not redeemed is released when the offer expires.
    """
    keys = _Clock.at(programme, now).keys
    return _reservations(programme, action, store=store, basket_micros=basket_micros, keys=keys)


def at_stake(
    programme: Programme, allowed: Iterable[Action], *, store: str | None, basket_micros: int, now: datetime
) -> tuple[Reservation, ...]:
    """Return, for each budget that an allowed action needs, the most that one of them would take.

    All of it must still be there when a decision among them is written: were only the drawn action's budget looked
    at, the decisions that are written would depend on the draw, and their propensities would be wrong.
    """
    keys = _Clock.at(programme, now).keys
    dearest: dict[str, Reservation] = {}
    for action in allowed:
        for wanted in _reservations(programme, action, store=store, basket_micros=basket_micros, keys=keys):
            known = dearest.get(wanted.budget_key)
            if known is None or wanted.amount_micros > known.amount_micros:
                dearest[wanted.budget_key] = wanted
    return tuple(dearest.values())


@dataclass(frozen=True, slots=True)
class _Clock:
    """What the guardrails need of the time, read once a decision: the shop's clock, and the budgets' periods."""

    local: datetime
    keys: Mapping[str, str]

    @staticmethod
    def at(programme: Programme, now: datetime) -> _Clock:
        keys = {budget.name: programme.budget_key(budget, now) for budget in programme.budgets}
        return _Clock(now.astimezone(programme.timezone), keys)


def _reservations(
    programme: Programme, action: Action, *, store: str | None, basket_micros: int, keys: Mapping[str, str]
) -> tuple[Reservation, ...]:
    if action.is_control:
        return ()
    amount = programme.contact_cost_micros(action) + programme.redemption_cost_micros(action, basket_micros)
    return tuple(
        Reservation(keys[budget.name], amount, budget.amount_micros, budget.count)
        for budget in programme.budgets
        if budget.covers(action, store)
    )


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


def _frequency_cap(programme: Programme, situation: Situation) -> tuple[Reason, str] | None:
    cap, days = programme.guardrails.frequency_contacts, programme.guardrails.frequency_days
    if cap is None:
        return None
    recent = recent_contacts(programme, situation.customer, now=situation.now)
    if recent < cap:
        return None
    return Reason.FREQUENCY_CAP, f"{recent} treatments in the last {days} days, {cap} allowed"


def _check(programme: Programme, action: Action, situation: Situation, clock: _Clock) -> tuple[Reason, str] | None:
    return (
        _candidate(action, situation.request)
        or _placement(programme, action, situation, clock.local)
        or _consent(programme, action, situation)
        or _quiet(programme, action, clock.local)
        or _margin(programme, action, situation.basket_micros)
        or _budget(programme, action, situation, clock.keys)
        or _known(action, situation.catalogue)
    )


def _known(action: Action, catalogue: Container[str] | None) -> tuple[Reason, str] | None:
    if catalogue is None or action.action_id in catalogue:
        return None
    return Reason.NOT_IN_POLICY, "the policy was trained before this action existed"


def _candidate(action: Action, request: DecisionRequest) -> tuple[Reason, str] | None:
    if request.offers is not None and action.offer not in request.offers:
        return Reason.NOT_A_CANDIDATE, f"the caller did not name offer {action.offer}"
    if request.channels is not None and action.channel not in request.channels:
        return Reason.NOT_A_CANDIDATE, f"the caller did not name channel {action.channel}"
    return None


def _placement(
    programme: Programme, action: Action, situation: Situation, local: datetime
) -> tuple[Reason, str] | None:
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


def _consent(programme: Programme, action: Action, situation: Situation) -> tuple[Reason, str] | None:
    if may_contact(programme.channels[action.channel], situation.request, situation.customer):
        return None
    return Reason.NO_CONSENT, f"no consent for {action.channel}"


def _quiet(programme: Programme, action: Action, local: datetime) -> tuple[Reason, str] | None:
    hours = programme.channels[action.channel].quiet_hours
    if hours is None or not _within(local.time(), *hours):
        return None
    return Reason.QUIET_HOURS, f"{action.channel} is quiet from {hours[0]:%H:%M} to {hours[1]:%H:%M}"


def _within(clock: time, start: time, end: time) -> bool:
    return start <= clock < end if start <= end else clock >= start or clock < end


def _margin(programme: Programme, action: Action, basket_micros: int) -> tuple[Reason, str] | None:
    floor = programme.guardrails.margin_floor
    if floor is None or basket_micros == 0:
        return None
    kept = programme.gross_margin - programme.redemption_cost_micros(action, basket_micros) / basket_micros
    if kept >= floor:
        return None
    return Reason.MARGIN_FLOOR, f"a redemption on a basket of {basket_micros / MICROS:.2f} leaves {kept:.0%}"


def _budget(
    programme: Programme, action: Action, situation: Situation, keys: Mapping[str, str]
) -> tuple[Reason, str] | None:
    store, basket_micros = situation.request.store, situation.basket_micros
    wanted = _reservations(programme, action, store=store, basket_micros=basket_micros, keys=keys)
    for reservation in wanted:
        used = situation.used.get(reservation.budget_key, Used())
        if reservation.budget_key in situation.exhausted or not fits(reservation, used):
            return Reason.BUDGET_EXHAUSTED, f"budget {reservation.budget_key.partition('|')[0]} is used up"
    return None


def fits(reservation: Reservation, used: Used) -> bool:
    """Return whether a budget with `used` taken still holds the reservation."""
    amount_fits = (
        reservation.limit_micros is None or used.amount_micros + reservation.amount_micros <= reservation.limit_micros
    )
    return amount_fits and (reservation.limit_count is None or used.count < reservation.limit_count)
