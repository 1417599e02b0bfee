import numpy as np
import pytest

from decision.errors import NotEnoughData
from experiments.behaviour.journal import date_of, journal_of
from experiments.bench import customers
from experiments.bench.peers import customer_models
from tests.behaviour.shops import shop


@pytest.fixture(scope="module")
def journal():
    return journal_of(shop(300, 300, seed=8).order_lines)


def test_everybody_is_judged_by_the_same_customers_and_encore_against_itself_is_nothing(journal, monkeypatch):
    monkeypatch.setattr(customers.metrics, "REPLICATES", 10)
    rows = customers.compare(journal, "2025-07-10")
    assert [row.peer for row in rows] == list(customers.PEERS)
    assert len({row.customers for row in rows}) == 1
    assert {figure.difference for figure in rows[0].figures.values()} == {0.0}
    assert all(0.5 < row.figures["AUC"].value < 1.0 for row in rows)
    assert len(customers.table(rows)) == len(rows) + 1


@pytest.mark.parametrize("peer", [customer_models.bg_nbd, customer_models.weibull, customer_models.glm])
def test_peers_foretell_chances_and_see_nothing_after_the_cut(journal, peer):
    cut = journal.first_day + 190
    foretold, known = peer(journal, cut, 90), peer(journal.before(cut), cut, 90)
    np.testing.assert_array_equal(foretold.chance, known.chance)
    assert ((foretold.chance > 0) & (foretold.chance < 1)).all()
    assert ((foretold.wait >= 0) & np.isfinite(foretold.wait)).all()


def test_what_is_too_little_to_predict_from_is_not_compared(journal):
    with pytest.raises(NotEnoughData, match=r"90 days of history \(found 60\)"):
        customers.compare(journal, date_of(journal.first_day + 59).isoformat())
    with pytest.raises(NotEnoughData, match="90 days after"):
        customers.compare(journal, date_of(journal.last_day - 30).isoformat())
