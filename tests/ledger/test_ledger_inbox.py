"""What a ledger promises of its inbox, run against every implementation."""

from dataclasses import replace

import pytest

from decision.errors import InboxFull, LedgerError, NotFound
from decision.ledger import inbox
from decision.ledger.base import Act, InboxItem, Ledger
from tests.support import NOW, bought, outcome, refunded

ITEM = InboxItem(NOW, "shopify", "refunds/create", "a.myshopify.com", '{"id":1}', "waits", order_id="o-1")
DONE = Act(NOW, "anna", "inbox done", {"item": "1"})


def test_items_come_back_as_they_were_put_in_oldest_first(ledger: Ledger) -> None:
    other = replace(ITEM, body="", order_id=None, customer_id="c-1")
    assert ledger.put_in_inbox(ITEM)
    assert ledger.put_in_inbox(other)
    found = ledger.inbox()
    assert [replace(item, item_id=0) for item in found] == [ITEM, other]
    assert found[0].item_id < found[1].item_id
    assert [item.item_id for item in ledger.inbox(order_id="o-1")] == [found[0].item_id]
    assert ledger.inbox(order_id="o-2") == []


def test_the_same_is_kept_once(ledger: Ledger) -> None:
    assert ledger.put_in_inbox(ITEM)
    assert not ledger.put_in_inbox(replace(ITEM, reason="another reason"))
    assert [item.reason for item in ledger.inbox()] == ["waits"]


def test_taking_out_is_an_act_where_a_person_does_it(ledger: Ledger) -> None:
    ledger.put_in_inbox(ITEM)
    ledger.put_in_inbox(replace(ITEM, body="2"))
    first, second = (item.item_id for item in ledger.inbox())
    ledger.take_from_inbox(first)
    ledger.take_from_inbox(first)
    assert ledger.acts() == []
    ledger.take_from_inbox(second, act=DONE)
    assert ledger.acts() == [DONE]
    with pytest.raises(NotFound, match="found"):
        ledger.take_from_inbox(second, act=DONE)
    assert (ledger.inbox(), ledger.acts()) == ([], [DONE])


def test_a_full_inbox_refuses_so_that_the_sender_comes_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LIMIT", 2)
    for body in "12":
        ledger.put_in_inbox(replace(ITEM, body=body))
    assert not ledger.put_in_inbox(replace(ITEM, body="1")), "what is there already needs no room"
    with pytest.raises(LedgerError, match="inbox"):
        ledger.put_in_inbox(replace(ITEM, body="3"))


def test_one_source_leaves_room_for_the_others(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(inbox.SHARES, "segment", 2)
    calls = [replace(ITEM, source="segment", body=body, order_id=None) for body in "123"]
    with pytest.raises(InboxFull, match="fewer than 2"):
        ledger.put_in_inbox(*calls)
    assert ledger.inbox() == [], "all of a batch or nothing of it"
    assert ledger.put_in_inbox(*calls[:2], calls[0]) == 2
    with pytest.raises(InboxFull):
        ledger.put_in_inbox(calls[2])
    assert ledger.put_in_inbox(ITEM) == 1


def test_whose_an_order_is(ledger: Ledger) -> None:
    ledger.record_outcomes([refunded(NOW, "o-1"), outcome("Order Cancelled", NOW, order_id="o-1")], now=NOW)
    assert ledger.owners("o-1") == [], "nobody has completed it yet"
    ledger.record_outcomes([bought(NOW, "o-1"), bought(NOW, "o-2"), bought(NOW, "o-2", customer_id="c-0")], now=NOW)
    assert (ledger.owners("o-1"), ledger.owners("o-2")) == (["c-1"], ["c-0", "c-1"])


def test_what_has_been_told(ledger: Ledger) -> None:
    ledger.record_outcomes([bought(NOW, message_id="a"), bought(NOW, message_id="b")], now=NOW)
    assert ledger.knows([])
    assert ledger.knows(["a", "b"])
    assert not ledger.knows(["a", "c"])
