"""The use case: one durable decision, the same for the same id, with its reasons."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs

from decision.bundle.store import BundleStore
from decision.errors import Conflict, IdempotencyMismatch, LedgerError
from decision.flow.decide import decide
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Eligibility, Guardrails
from decision.records import CONTROL, Decision, Group, Reason, Reservation
from decision.serving import Serving, champion_from
from decision.stages.guardrails import Used
from tests import support
from tests.support import DAY, NOW, SECOND, asked, bought, budget, micros, only, order, outcome, programme


def usual(**changes: object) -> Serving:
    """Return business as usual for everybody: a purchase gets discount@on_page."""
    return Serving(only(Group.BUSINESS_AS_USUAL, **changes), None)


def test_a_decision_is_written_before_it_is_returned(ledger: SqliteLedger) -> None:
    found = decide(asked(), serving=usual(), ledger=ledger, now=NOW)
    assert ledger.decision("d-1") == found
    assert found.action_id == "discount@on_page"
    assert found.expires_at == NOW + 28 * DAY
    assert found.matures_at == NOW + 42 * DAY
    assert (found.redemption_share, found.redemption_cost_micros, found.contact_cost_micros) == (0.1, 0, 0)


def test_a_retry_gives_the_same_decision_whatever_has_changed(ledger: SqliteLedger) -> None:
    first = decide(asked(), serving=usual(), ledger=ledger, now=NOW)
    ledger.record_outcomes([outcome("Unsubscribed", NOW)], now=NOW)
    later = usual(guardrails=Guardrails(0, 30, None))
    assert decide(asked(), serving=later, ledger=ledger, now=NOW + 90 * DAY) == first
    assert ledger.counts()["decisions"] == 1


def test_the_same_id_with_another_body_is_refused(ledger: SqliteLedger) -> None:
    decide(asked(), serving=usual(), ledger=ledger, now=NOW)
    with pytest.raises(IdempotencyMismatch, match="found another"):
        decide(asked(fingerprint="other"), serving=usual(), ledger=ledger, now=NOW)


def test_a_coupon_belongs_to_one_decision(ledger: SqliteLedger) -> None:
    found = [decide(asked(f"d-{n}"), serving=usual(), ledger=ledger, now=NOW).coupon for n in range(20)]
    assert len(set(found)) == 20
    # A promise: a coupon that was printed is found again.
    assert found[1] == "ENNY5BAWA4LI"
    control = decide(asked("d-x", trigger="return", consent={}), serving=usual(), ledger=ledger, now=NOW)
    assert (control.action_id, control.coupon) == (CONTROL, None)


@pytest.mark.parametrize("group", Group)
def test_who_is_not_eligible_is_control_in_every_group(
    bundles: BundleStore, ledger: SqliteLedger, group: Group
) -> None:
    champion = champion_from(support.write_bundle(bundles))
    shop = only(group, eligibility=Eligibility(None, 5, frozenset({"GIFT-CARD"}), ()))
    request = asked(order=order(products=("GIFT-CARD",)))
    found = decide(request, serving=Serving(shop, champion), ledger=ledger, now=NOW)
    assert (found.action_id, found.propensity, found.allowed) == (CONTROL, 1.0, (CONTROL,))
    assert found.reasons == ((Reason.EXCLUDED_PRODUCT.value, "the order holds GIFT-CARD"),)


def test_a_revocation_in_the_ledger_overrules_the_caller(ledger: SqliteLedger) -> None:
    ledger.record_outcomes([outcome("Unsubscribed", NOW - DAY, channel="email")], now=NOW)
    found = decide(asked(trigger="return", consent={"email": True}), serving=usual(), ledger=ledger, now=NOW)
    assert found.action_id == CONTROL
    assert ("shipping@email", Reason.NO_CONSENT) in {(r.action_id, r.reason) for r in found.rejected}


def test_a_budget_is_reserved_by_the_decision(ledger: SqliteLedger) -> None:
    serving = usual(budgets=(budget(amount_micros=micros(10.0)),))
    first, second = (decide(asked(f"d-{n}"), serving=serving, ledger=ledger, now=NOW) for n in range(2))
    assert (first.action_id, second.action_id) == ("discount@on_page", CONTROL)
    assert ledger.used(["b|programme"]) == {"b|programme": Used(micros(6.0), 1)}


def test_the_frequency_cap_counts_treatments_of_the_ledger(ledger: SqliteLedger) -> None:
    serving = usual(guardrails=Guardrails(2, 30, None))
    days = (0, 1, 2, 30, 31, 32)
    found = [decide(asked(f"d-{n}"), serving=serving, ledger=ledger, now=NOW + n * DAY).action_id for n in days]
    assert [a != CONTROL for a in found] == [True, True, False, True, True, False]


def test_the_frequency_cap_sees_a_treatment_behind_any_number_of_decisions(ledger: SqliteLedger) -> None:
    serving = usual(guardrails=Guardrails(1, 30, None))
    given = [decide(asked(), serving=serving, ledger=ledger, now=NOW)]
    given += [decide(asked(f"r-{n}", channels=frozenset()), serving=serving, ledger=ledger, now=NOW + SECOND * n)
              for n in range(1, 210)]  # fmt: skip
    given += [decide(asked("d-2"), serving=serving, ledger=ledger, now=NOW + DAY)]
    assert [d.decision_id for d in given if d.action_id != CONTROL] == ["d-1"]


def test_what_the_allowed_actions_depend_on_is_in_the_context(ledger: SqliteLedger) -> None:
    serving = usual(guardrails=Guardrails(3, 30, None))
    ledger.record_outcomes([outcome("Unsubscribed", NOW - DAY, channel="on_page")], now=NOW)
    ask = asked(trigger="return", consent={"email": True})
    found = [
        decide(structs.replace(ask, decision_id=f"d-{n}"), serving=serving, ledger=ledger, now=NOW - n * DAY).context
        for n in (31, 30, 2, 0)
    ]
    assert [context["recent_contacts"] for context in found] == [0.0, 1.0, 2.0, 1.0]
    assert [found[0][f"consent.{channel}"] for channel in ("on_page", "email", "sms")] == [0.0, 1.0, 0.0]


def test_the_history_of_the_customer_is_in_the_context(ledger: SqliteLedger) -> None:
    ledger.record_outcomes([bought(NOW - 3 * DAY, "o-0", 30.0)], now=NOW)
    found = decide(asked(), serving=usual(), ledger=ledger, now=NOW)
    assert found.context["customer_orders"] == 1.0
    assert found.context["customer_revenue"] == 30.0
    assert found.context["days_since_last_order"] == 3.0


class Contested:
    """A ledger in which another always gets there first."""

    def __init__(self, ledger: SqliteLedger, *, conflicts: int, exhausted: frozenset[str] = frozenset()) -> None:
        self.ledger, self.conflicts, self.exhausted = ledger, conflicts, exhausted

    def __getattr__(self, name: str) -> object:
        return getattr(self.ledger, name)

    def record_decision(self, decision: Decision, reservations: Sequence[Reservation], **facts: Any) -> None:
        if self.conflicts and (not self.exhausted or reservations):
            self.conflicts -= 1
            raise Conflict("meanwhile", exhausted=self.exhausted)
        self.ledger.record_decision(decision, reservations, **facts)


def test_a_conflict_is_tried_again(ledger: SqliteLedger) -> None:
    contested = Contested(ledger, conflicts=19)
    found = decide(asked(), serving=usual(), ledger=contested, now=NOW)  # type: ignore[arg-type]
    assert ledger.decision("d-1") == found


class Broken(Contested):
    """A ledger that can still be read and no longer written."""

    def record_decision(self, *_: object, **__: object) -> None:
        raise LedgerError("the disk is full")


def test_a_retry_is_answered_as_before_when_nothing_can_be_written(ledger: SqliteLedger) -> None:
    first = decide(asked(), serving=usual(), ledger=ledger, now=NOW)
    broken: Any = Broken(ledger, conflicts=0)
    assert decide(asked(), serving=usual(), ledger=broken, now=NOW + SECOND) == first
    with pytest.raises(IdempotencyMismatch):
        decide(asked(fingerprint="other"), serving=usual(), ledger=broken, now=NOW + SECOND)
    with pytest.raises(LedgerError, match="full"):
        decide(asked("d-2"), serving=usual(), ledger=broken, now=NOW + SECOND)
    with pytest.raises(LedgerError, match="full"):
        # A row of now was answered to nobody: it was withdrawn at its deadline.
        decide(asked(), serving=usual(), ledger=broken, now=NOW)


def test_endless_conflicts_are_an_error(ledger: SqliteLedger) -> None:
    with pytest.raises(LedgerError, match="20 attempts"):
        decide(asked(), serving=usual(), ledger=Contested(ledger, conflicts=99), now=NOW)  # type: ignore[arg-type]
    assert ledger.counts()["decisions"] == 0


def test_a_budget_lost_at_the_last_moment_is_a_rejection(ledger: SqliteLedger) -> None:
    contested = Contested(ledger, conflicts=1, exhausted=frozenset({"b|programme"}))
    serving = usual(budgets=(budget(count=5),))
    found = decide(asked(), serving=serving, ledger=contested, now=NOW)  # type: ignore[arg-type]
    assert (found.action_id, found.propensity) == (CONTROL, 1.0)
    assert {r.reason for r in found.rejected} == {Reason.BUDGET_EXHAUSTED}


REASONS = [
    (Group.HOLDOUT, True, {"holdout"}),
    (Group.RANDOM, True, {"random_group"}),
    (Group.BUSINESS_AS_USUAL, True, {"business_as_usual"}),
    (Group.POLICY, False, {"no_policy_promoted"}),
    (Group.POLICY, True, {"highest_value", "explored"}),
]


@pytest.mark.parametrize(("group", "promoted", "codes"), REASONS)
def test_every_answer_says_why(
    bundles: BundleStore, ledger: SqliteLedger, group: Group, promoted: bool, codes: set[str]
) -> None:
    champion = champion_from(support.write_bundle(bundles)) if promoted else None
    serving = Serving(only(group), champion)
    found = [decide(asked(f"d-{n}", f"c-{n}"), serving=serving, ledger=ledger, now=NOW) for n in range(40)]
    assert {code for d in found for code, _ in d.reasons} == codes
    assert all(sentence for d in found for _, sentence in d.reasons)


def test_the_sentence_names_value_and_rival(bundles: BundleStore, ledger: SqliteLedger) -> None:
    serving = Serving(only(Group.POLICY), champion_from(support.write_bundle(bundles)))
    for n in range(40):
        found = decide(asked(f"d-{n}", f"c-{n}"), serving=serving, ledger=ledger, now=NOW)
        values = dict(zip(found.allowed, found.predictions["value"], strict=True))
        best = max(values, key=lambda a: values[a] or 0.0)
        ((code, sentence),) = found.reasons
        assert (code == "highest_value") is (found.action_id == best)
        assert f"{values[found.action_id]:.2f} EUR against {values[CONTROL]:.2f} for control" in sentence


def test_an_action_newer_than_the_policy_waits_but_for_the_random_group(
    bundles: BundleStore, ledger: SqliteLedger
) -> None:
    champion = champion_from(support.write_bundle(bundles, support.manifest(actions=(CONTROL, "discount@email"))))
    serving = Serving(only(Group.POLICY), champion)
    found = decide(asked(), serving=serving, ledger=ledger, now=NOW)
    assert found.allowed == (CONTROL, "discount@email")
    assert {r.reason for r in found.rejected} == {Reason.NOT_IN_POLICY}
    drawn = [
        decide(asked(f"r-{n}", f"r-{n}"), serving=Serving(only(Group.RANDOM), champion), ledger=ledger, now=NOW)
        for n in range(40)
    ]
    assert len({d.action_id for d in drawn}) == 6
    values = dict(zip(drawn[0].allowed, drawn[0].predictions["value"], strict=True))
    assert [a for a, v in values.items() if v is None] == [a for a in support.ACTIONS if a not in champion.index]


@pytest.mark.parametrize("total", [0.0, 1e-6, 1e9])
def test_every_possible_basket_is_decided(bundles: BundleStore, ledger: SqliteLedger, total: float) -> None:
    shop = only(Group.POLICY, guardrails=Guardrails(3, 30, 0.05))
    serving = Serving(shop, champion_from(support.write_bundle(bundles)))
    found = decide(asked(order=order(total=total)), serving=serving, ledger=ledger, now=NOW)
    assert sum(found.distribution) == pytest.approx(1.0)


def test_a_decision_of_a_dropped_store_still_can_be_explained(bundles: BundleStore, ledger: SqliteLedger) -> None:
    from decision.stages.explanation import contributions

    champion = champion_from(support.write_bundle(bundles))
    serving = Serving(only(Group.POLICY), champion)
    features = {"age": 70.0, "tier": "gold"}
    found = [
        decide(asked(f"d-{n}", f"c-{n}", features=features, store="hamburg"), serving=serving, ledger=ledger, now=NOW)
        for n in range(10)
    ]
    without = programme({'[stores.hamburg]\nregion = "north"\n': ""})
    for decision in found:
        why = contributions(decision, serving.programme, champion)
        assert 0 < len(why) <= 5
        assert [abs(effect) for _, effect in why] == sorted((abs(effect) for _, effect in why), reverse=True)
        assert contributions(decision, without, champion)
    assert contributions(found[0], serving.programme, None) == []


def test_a_contribution_by_hand(bundles: BundleStore, ledger: SqliteLedger) -> None:
    """A fact's effect is how far the lead over control falls when it is taken as unknown."""
    from decision.stages.explanation import contributions

    champion = champion_from(support.write_bundle(bundles))
    shop = only(Group.POLICY)
    decision = decide(asked(features={"age": 70.0}), serving=Serving(shop, champion), ledger=ledger, now=NOW)
    decision = structs.replace(decision, action_id="discount@email")

    def lead(context: object) -> float:
        value = champion.value(shop, shop.goal, allowed=shop.actions, context=context).value  # type: ignore[arg-type]
        return float(value[support.ACTIONS.index("discount@email")] - value[0])

    effects = dict(contributions(decision, shop, champion))
    without_age = {k: v for k, v in decision.context.items() if k != "age"}
    assert effects["age"] == pytest.approx(lead(decision.context) - lead(without_age))
