from collections import defaultdict
from pathlib import Path

import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.programme.read import load_programme
from decision.wiring import utc_now
from experiments.importing.trial import import_trial
from experiments.importing.trial_mapping import read_trial_mapping

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "hillstrom"
CASE = ROOT / "experiments" / "cases" / "hillstrom"
ARMS = ("control", "mens_email@email", "womens_email@email")

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"Hillstrom's trial is not in {DATA}")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    home = tmp_path_factory.mktemp("hillstrom")
    ledger = SqliteLedger.create(home / "ledger.db")
    yield ledger, load(ledger, home, "hillstrom.csv"), load(ledger, home, "hillstrom.parquet")
    ledger.close()


def load(ledger, home, name):
    programme = load_programme(CASE / "programme.toml")
    mapping, table = read_trial_mapping(CASE / "mapping.toml", DATA / name, programme)
    rejects = home / "rejects.csv"
    return import_trial(table, mapping, programme=programme, ledger=ledger, now=utc_now(), rejects_path=rejects)


@pytest.fixture(scope="module")
def by_action(imported):
    rows = defaultdict(list)
    for item in imported[0].rewarded():
        rows[item.decision.action_id].append(item.reward)
    return rows


def test_all_64_000_rows_are_decisions_of_arms_as_large_as_published(imported):
    _, receipt, _ = imported
    assert (receipt.rows, receipt.new, receipt.rejected) == (64_000, 64_000, {})
    assert receipt.arms.found == {"No E-Mail": 21_306, "Mens E-Mail": 21_307, "Womens E-Mail": 21_387}
    assert receipt.arms.p_value == pytest.approx(0.90, abs=0.005)


def test_the_parquet_file_says_the_same_as_the_csv_file_so_that_nothing_is_new(imported):
    _, _, again = imported
    assert (again.new, again.known) == (0, 64_000)


@pytest.mark.parametrize(
    ("fact", "published"),
    [("visited", (0.1062, 0.1828, 0.1514)), ("repurchased", (0.00573, 0.01253, 0.00884))],
)
def test_rates_are_as_published(by_action, fact, published):
    # Published with four digits of a share.
    rates = [sum(getattr(r, fact) for r in by_action[arm]) / len(by_action[arm]) for arm in ARMS]
    assert rates == pytest.approx(published, abs=0.00006)


def test_mean_spend_is_as_published_and_value_is_spend_minus_the_e_mail(by_action):
    spend = [sum(r.revenue_micros for r in by_action[arm]) / 1e6 / len(by_action[arm]) for arm in ARMS]
    assert spend == pytest.approx((0.653, 1.423, 1.077), abs=0.0006)
    everything = [r for arm in ARMS for r in by_action[arm]]
    assert sum(r.revenue_micros for r in everything) / 1e6 / 64_000 == pytest.approx(1.05091, abs=0.000006)
    assert sum(r.repurchased for r in everything) == 578
    assert {r.revenue_micros - r.value_micros for r in by_action[ARMS[0]]} == {0}
    assert {r.revenue_micros - r.value_micros for r in by_action[ARMS[1]]} == {10_000}


def test_identical_rows_stay_different_customers(imported):
    customers = {item.decision.customer_id for item in imported[0].rewarded()}
    assert len(customers) == 64_000
