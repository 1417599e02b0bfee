"""One test a reason code; control always remains."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.programme.model import Guardrails, Programme
from decision.records import CONTROL, CONTROL_ACTION, Consent, Customer, Reason, Reservation
from decision.stages.guardrails import Purse, Situation, Used, apply, fits, reach_of
from tests.support import ACTIONS, DAY, NOW, SECOND, asked, budget, micros, order, programme


def situation(*, customer: Customer | None = None, now: datetime = NOW, **changes: Any) -> Situation:
    fields = {"used": {}, "exhausted": frozenset(), "catalogue": None}
    own = {name: changes.pop(name) for name in tuple(changes) if name in fields}
    request, customer = asked(**changes), customer or Customer("c-1")
    return Situation(
        request=request,
        customer=customer,
        reach=reach_of(programme(), request, customer, now=now),
        now=now,
        **(fields | own),
    )


def removed(of: Programme, at: Situation) -> dict[str, Reason]:
    """Return the reason for every removed action, after checking that nothing is lost and control remains."""
    request = at.request
    purse = Purse(of, store=request.store, basket_micros=request.order.total_micros, now=at.now)
    allowed, rejected = apply(of, at, purse)
    assert allowed.actions[0] == CONTROL_ACTION
    assert allowed.ids == tuple(action.action_id for action in allowed.actions)
    assert sorted([*allowed.ids] + [r.action_id for r in rejected]) == sorted(ACTIONS)
    assert all(rejection.detail for rejection in rejected)
    return {rejection.action_id: rejection.reason for rejection in rejected}


def test_nothing_is_removed_without_a_reason() -> None:
    assert removed(programme(), situation()) == {}


def test_not_a_candidate_offer() -> None:
    found = removed(programme(), situation(offers=frozenset({"shipping"})))
    assert found == dict.fromkeys(set(ACTIONS) - {"control", "shipping@email"}, Reason.NOT_A_CANDIDATE)


def test_not_a_candidate_channel() -> None:
    found = removed(programme(), situation(channels=frozenset({"on_page"})))
    assert found == dict.fromkeys(set(ACTIONS) - {"control", "discount@on_page"}, Reason.NOT_A_CANDIDATE)


def test_no_candidates_leave_control() -> None:
    assert set(removed(programme(), situation(offers=frozenset()))) == set(ACTIONS) - {"control"}


@pytest.mark.parametrize(("store", "removes"), [("hamburg", False), ("online", True), (None, True)])
def test_not_in_store(store: str | None, removes: bool) -> None:
    local = programme({'kind = "free_shipping"': 'kind = "free_shipping"\nstores = ["hamburg"]'})
    found = removed(local, situation(store=store))
    assert found == ({"shipping@email": Reason.NOT_IN_STORE} if removes else {})


def test_not_for_trigger() -> None:
    returns = programme({'kind = "free_shipping"': 'kind = "free_shipping"\ntriggers = ["return"]'})
    assert removed(returns, situation()) == {"shipping@email": Reason.NOT_FOR_TRIGGER}
    assert removed(returns, situation(trigger="return")) == {}


@pytest.mark.parametrize(
    ("now", "removes"),
    [
        (datetime(2026, 2, 28, 22, 59, 59, tzinfo=UTC), True),  # in Berlin still February
        (datetime(2026, 2, 28, 23, 0, tzinfo=UTC), False),
        (datetime(2026, 3, 10, 22, 59, 59, tzinfo=UTC), False),  # the last day counts
        (datetime(2026, 3, 10, 23, 0, tzinfo=UTC), True),
    ],
)
def test_not_in_season_by_the_shops_calendar(now: datetime, removes: bool) -> None:
    season = "valid_from = 2026-03-01\nvalid_until = 2026-03-10"
    spring = programme(
        {'kind = "free_shipping"': f'kind = "free_shipping"\n{season}', 'quiet_hours = "21:00-08:00"': ""}
    )
    assert removed(spring, situation(now=now)) == ({"shipping@email": Reason.NOT_IN_SEASON} if removes else {})


def test_below_min_basket() -> None:
    dear = programme({'kind = "free_shipping"': 'kind = "free_shipping"\nmin_basket = "60.00"'})
    assert removed(dear, situation(order=order(total=60.0))) == {}
    assert removed(dear, situation(order=order(total=59.99))) == {"shipping@email": Reason.BELOW_MIN_BASKET}


REACHED_BY_SMS = "discount@sms"


@pytest.mark.parametrize(
    ("caller", "ledger", "removes"),
    [
        (True, None, False),
        (True, True, False),
        (None, True, False),
        (None, None, True),
        (False, True, True),
        (False, None, True),
        (True, False, True),  # a revocation that was seen is never overruled
        (None, False, True),
    ],
)
def test_no_consent(caller: bool | None, ledger: bool | None, removes: bool) -> None:
    said = {"email": True} | ({} if caller is None else {"sms": caller})
    noted = {} if ledger is None else {"sms": Consent(ledger, NOW)}
    found = removed(programme(), situation(consent=said, customer=Customer("c-1", consent=noted)))
    assert found == ({REACHED_BY_SMS: Reason.NO_CONSENT} if removes else {})


@pytest.mark.parametrize(
    ("caller", "ledger", "removes"),
    [(None, None, False), (True, None, False), (False, None, True), (None, False, True), (True, False, True)],
)
def test_a_channel_that_needs_no_consent_still_hears_a_refusal(
    caller: bool | None, ledger: bool | None, removes: bool
) -> None:
    said = {"email": True, "sms": True} | ({} if caller is None else {"on_page": caller})
    noted = {} if ledger is None else {"on_page": Consent(ledger, NOW)}
    found = removed(programme(), situation(consent=said, customer=Customer("c-1", consent=noted)))
    assert found == ({"discount@on_page": Reason.NO_CONSENT} if removes else {})


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        ("2026-03-04T19:59:59Z", False),  # 20:59:59 in Berlin
        ("2026-03-04T20:00:00Z", True),
        ("2026-03-04T23:30:00Z", True),  # half past midnight
        ("2026-03-05T06:59:59Z", True),
        ("2026-03-05T07:00:00Z", False),
        # Summer time: the same hours of the shop lie an hour earlier in UTC.
        ("2026-03-28T06:30:00Z", True),
        ("2026-03-29T06:30:00Z", False),
        ("2026-03-29T18:59:59Z", False),
        ("2026-03-29T19:00:00Z", True),
        ("2026-10-25T06:30:00Z", True),  # back to winter time that night
        ("2026-10-24T06:30:00Z", False),
    ],
)
def test_quiet_hours_follow_the_shops_clock(now: str, quiet: bool) -> None:
    found = removed(programme(), situation(now=datetime.fromisoformat(now)))
    assert found == ({REACHED_BY_SMS: Reason.QUIET_HOURS} if quiet else {})


def test_quiet_hours_within_a_day() -> None:
    siesta = programme({'"21:00-08:00"': '"13:00-15:00"'})
    at = {hour: removed(siesta, situation(now=datetime(2026, 3, 4, hour - 1, tzinfo=UTC))) for hour in (12, 13, 14, 15)}
    assert [bool(found) for found in at.values()] == [False, True, True, False]


def test_quiet_hours_from_an_hour_to_itself_are_none() -> None:
    never = programme({'"21:00-08:00"': '"00:00-00:00"'})
    assert removed(never, situation(now=datetime(2026, 3, 4, 23, 0, tzinfo=UTC))) == {}
    assert never.channels["sms"].quiet_hours == (time(0), time(0))


@pytest.mark.parametrize(
    ("contacts", "removes"),
    [
        ((), False),
        ((NOW - DAY, NOW - 2 * DAY), False),
        ((NOW - DAY, NOW - 2 * DAY, NOW - 3 * DAY), True),
        ((NOW - DAY, NOW - 2 * DAY, NOW - 30 * DAY), False),  # 30 days ago is no longer within 30 days
        ((NOW - DAY, NOW - 2 * DAY, NOW - 30 * DAY + SECOND), True),
    ],
)
def test_frequency_cap(contacts: tuple[datetime, ...], removes: bool) -> None:
    capped = programme(guardrails=Guardrails(3, 30, None))
    found = removed(capped, situation(customer=Customer("c-1", contacts=contacts)))
    assert found == (dict.fromkeys(ACTIONS[1:], Reason.FREQUENCY_CAP) if removes else {})


def test_a_cap_of_zero_treats_nobody() -> None:
    assert set(removed(programme(guardrails=Guardrails(0, 30, None)), situation())) == set(ACTIONS[1:])


@pytest.mark.parametrize(
    ("total", "removes"), [(20.0, True), (32.66, True), (32.67, False), (60.0, False), (0.0, False)]
)
def test_margin_floor(total: float, removes: bool) -> None:
    # 4.90 of 32.67 leave 0.40 - 0.14999 of the basket; an empty basket has no margin to speak of.
    floored = programme(guardrails=Guardrails(None, 30, 0.25))
    found = removed(floored, situation(order=order(total=total)))
    assert found == ({"shipping@email": Reason.MARGIN_FLOOR} if removes else {})


def test_the_margin_floor_itself_may_be_left() -> None:
    floored = programme(gross_margin=0.3, guardrails=Guardrails(None, 30, 0.2))
    assert 0.3 - 0.1 < 0.2
    assert "discount@email" not in removed(floored, situation(order=order(total=49.99)))


def test_not_in_policy() -> None:
    found = removed(programme(), situation(catalogue=frozenset({"control", "discount@email"})))
    assert found == dict.fromkeys(set(ACTIONS) - {"control", "discount@email"}, Reason.NOT_IN_POLICY)


SCOPES = [
    (None, None, set(ACTIONS[1:])),
    ("discount", None, {"discount@on_page", "discount@email", "discount@sms"}),
    (None, "hamburg", set(ACTIONS[1:])),
    (None, "online", set()),
    ("shipping", "hamburg", {"shipping@email"}),
    ("shipping", "online", set()),
]


@pytest.mark.parametrize(("offer", "store", "covered"), SCOPES)
@pytest.mark.parametrize("limit", [{"count": 3}, {"amount_micros": micros(20.0)}])
def test_budget_exhausted_removes_what_the_budget_covers(
    offer: str | None, store: str | None, covered: set[str], limit: dict[str, int]
) -> None:
    spent = programme(budgets=(budget(offer=offer, store=store, **limit),))
    used = {"b|programme": Used(amount_micros=micros(20.0), count=3)}
    found = removed(spent, situation(store="hamburg", used=used))
    assert found == dict.fromkeys(covered, Reason.BUDGET_EXHAUSTED)


def test_an_amount_is_reserved_for_contact_and_full_redemption() -> None:
    counted = programme(budgets=(budget(amount_micros=micros(100.0)), budget("c", offer="shipping", count=5)))
    taken = {
        action.action_id: [
            (r.budget_key, r.amount_micros)
            for r in Purse(counted, store=None, basket_micros=micros(60.0), now=NOW).dearest((action.action_id,))
        ]
        for action in counted.actions
    }
    assert taken == {
        "control": [],
        "thanks@email": [("b|programme", micros(0.02))],
        "discount@on_page": [("b|programme", micros(6.0))],
        "discount@email": [("b|programme", micros(6.02))],
        "discount@sms": [("b|programme", micros(6.09))],
        "shipping@email": [("b|programme", micros(4.92)), ("c|programme", micros(4.92))],
    }


def test_the_last_cent_of_a_budget_may_be_given() -> None:
    exact = programme(budgets=(budget(offer="shipping", amount_micros=micros(10.0)),))
    at = {rest: situation(used={"b|programme": Used(micros(10.0 - rest))}) for rest in (4.92, 4.91)}
    assert removed(exact, at[4.92]) == {}
    assert removed(exact, at[4.91]) == {"shipping@email": Reason.BUDGET_EXHAUSTED}


def test_at_stake_is_the_dearest_that_an_allowed_action_would_take_of_each_budget() -> None:
    shop = programme(budgets=(budget("all", count=9), budget("posted", offer="shipping", amount_micros=micros(50.0))))
    purse = Purse(shop, store=None, basket_micros=micros(60.0), now=NOW)
    found = {r.budget_key: r for r in purse.dearest(shop.whole_menu.ids)}
    assert found["all|programme"] == Reservation("all|programme", micros(6.09), None, 9)
    assert found["posted|programme"] == Reservation("posted|programme", micros(4.92), micros(50.0), None)
    assert purse.dearest((CONTROL,)) == ()


def test_a_budget_lost_to_another_decision_counts_as_exhausted() -> None:
    counted = programme(budgets=(budget(offer="shipping", count=20),))
    found = removed(counted, situation(exhausted=frozenset({"b|programme"})))
    assert found == {"shipping@email": Reason.BUDGET_EXHAUSTED}


@pytest.mark.parametrize(
    ("period", "at", "key"),
    [
        ("programme", "2026-03-04T12:00:00Z", "b|programme"),
        ("day", "2026-03-04T22:59:59Z", "b|2026-03-04"),
        ("day", "2026-03-04T23:00:00Z", "b|2026-03-05"),  # midnight in Berlin
        ("week", "2026-03-08T22:59:59Z", "b|2026-03-02"),  # a Sunday
        ("week", "2026-03-08T23:00:00Z", "b|2026-03-09"),
        ("month", "2026-03-31T21:59:59Z", "b|2026-03-01"),  # summer time by then
        ("month", "2026-03-31T22:00:00Z", "b|2026-04-01"),
        ("month", "2026-12-31T23:00:00Z", "b|2027-01-01"),
        ("week", "2027-01-01T12:00:00Z", "b|2026-12-28"),
    ],
)
def test_periods_roll_over_by_the_shops_calendar(period: str, at: str, key: str) -> None:
    shop = programme(budgets=(budget(period=period, count=1),))
    assert shop.budget_key(shop.budgets[0], datetime.fromisoformat(at)) == key


def test_a_new_period_has_its_whole_budget() -> None:
    weekly = programme(budgets=(budget(offer="shipping", period="week", count=3),))
    used = {"b|2026-03-02": Used(count=3)}
    assert removed(weekly, situation(used=used)) == {"shipping@email": Reason.BUDGET_EXHAUSTED}
    assert removed(weekly, situation(used=used, now=NOW + 7 * DAY)) == {}


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_what_fits_never_exceeds_the_limit(limit: int, used: int, wanted: int) -> None:
    assert fits(Reservation("b", wanted, limit, None), Used(used)) is (used + wanted <= limit)
    assert fits(Reservation("b", wanted, None, limit), Used(0, used)) is (used + 1 <= limit)


def test_an_offer_expires_with_its_validity_or_its_season() -> None:
    last = date(2026, 3, 10)
    season = programme({'kind = "free_shipping"': f'kind = "free_shipping"\nvalid_until = {last}\nvalidity_days = 14'})
    shipping = season.action("shipping@email")
    assert season.expires_at(shipping, NOW) == datetime(2026, 3, 10, 23, 0, tzinfo=UTC)
    assert season.expires_at(shipping, NOW - 14 * DAY) == NOW
    assert season.expires_at(CONTROL_ACTION, NOW) is None
    assert season.expires_at(season.action("discount@sms"), NOW) == NOW + timedelta(days=28)
