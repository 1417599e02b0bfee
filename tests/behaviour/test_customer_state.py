from dataclasses import fields

import numpy as np
import pytest

from decision.errors import NotEnoughData
from experiments.behaviour.journal import day_of, journal_of
from experiments.behaviour.state import first_purchase_after, spent_after, state_at
from tests.behaviour.shops import OPENED, history

ZERO = day_of(OPENED.date())
BOUGHT = [("ada", 0, 10.0), ("ada", 0, 5.0), ("ada", 20, 30.0), ("ada", 50, 20.0), ("bob", 10, 7.0)]


def test_what_is_known_of_a_customer_is_what_a_person_would_count():
    journal = journal_of(history(BOUGHT, returns=[("ada", 25, 4.0)]).order_lines)
    state = state_at(journal, ZERO + 40)
    assert [journal.names[c] for c in state.customer] == ["ada", "bob"]
    assert state.purchases.tolist() == [2, 1]
    assert state.silence.tolist() == [20, 30]
    assert state.tenure.tolist() == [40, 30]
    assert state.spent.tolist() == [45, 7]
    assert state.biggest.tolist() == [30, 7]
    assert state.latest.tolist() == [30, 7]
    assert state.returned.tolist() == [4, 0]
    assert state.lately[0] == pytest.approx(np.exp(-40 / 30) + np.exp(-20 / 30))
    assert state.typical_gap == 20
    assert state.usual_gap.tolist() == [20, 20]
    assert first_purchase_after(journal, state).tolist() == [10, np.inf]
    assert spent_after(journal, state, 10).tolist() == [0, 0]
    assert spent_after(journal, state, 11).tolist() == [20, 0]


def test_a_state_that_ages_is_the_state_of_a_later_day_without_purchases():
    journal = journal_of(history(BOUGHT).order_lines)
    aged, later = state_at(journal, ZERO + 30).aged(15.0), state_at(journal, ZERO + 45)
    for one in fields(later):
        if one.name != "as_of":
            np.testing.assert_allclose(getattr(aged, one.name), getattr(later, one.name), err_msg=one.name)


def test_nothing_of_the_day_itself_or_later_is_known():
    more = [*BOUGHT, ("ada", 40, 99.0), ("eve", 41, 1.0)]
    known = journal_of(history(BOUGHT[:3] + BOUGHT[4:]).order_lines)
    changed = journal_of(history(more).order_lines)
    a, b = state_at(known, ZERO + 40), state_at(changed, ZERO + 40)
    assert [known.names[c] for c in a.customer] == [changed.names[c] for c in b.customer]
    for name in ("purchases", "silence", "spent", "recently", "returned", "usual_gap"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_a_refund_without_an_order_makes_nobody_a_customer():
    journal = journal_of(history([("bob", 3, 7.0)], returns=[("eve", 1, 5.0)]).order_lines)
    state = state_at(journal, ZERO + 10)
    assert [journal.names[c] for c in state.customer] == ["bob"]
    with pytest.raises(NotEnoughData, match="found none"):
        journal_of(history([], returns=[("eve", 1, 5.0)]).order_lines)


def test_a_mistyped_quantity_that_was_undone_the_same_day_never_happened():
    usual = history([(f"c{n}", n % 9, 10.0) for n in range(2000)]).order_lines
    huge = history([("typist", 2, 1e6)], returns=[("typist", 2, 1e6)]).order_lines
    at = huge.schema.get_field_index("quantity")
    import pyarrow as pa

    huge = huge.set_column(at, "quantity", pa.array([80_995, 80_995])).cast(usual.schema)
    assert "typist" not in journal_of(pa.concat_tables([usual, huge])).names
    assert "typist" in journal_of(pa.concat_tables([usual, huge.slice(0, 1)])).names
