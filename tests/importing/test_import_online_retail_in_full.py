from decimal import Decimal
from pathlib import Path

import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.programme.read import load_programme
from decision.stages.events import ORDER_REFUNDED
from decision.wiring import utc_now
from experiments.importing.orders import import_orders
from experiments.importing.orders_mapping import read_orders_mapping

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "online_retail" / "online_retail.parquet"
CASE = ROOT / "experiments" / "cases" / "online_retail"

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"Online Retail is not at {DATA}")


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    home = tmp_path_factory.mktemp("online_retail")
    ledger = SqliteLedger.create(home / "ledger.db")
    programme = load_programme(CASE / "programme.toml")
    mapping, table = read_orders_mapping(CASE / "mapping.toml", DATA, programme)
    rejects = home / "rejects.csv"
    receipt = import_orders(table, mapping, programme=programme, ledger=ledger, now=utc_now(), rejects_path=rejects)
    yield ledger, receipt
    ledger.close()


@pytest.fixture(scope="module")
def kept():
    """Return the lines that can be used, chosen with pandas alone."""
    import pandas as pd

    lines = pd.read_parquet(DATA)
    codes = r"(?:POST|DOT|C2|M|D|S|B|BANK CHARGES|AMAZONFEE|CRUK|PADS|gift_.*)"
    product = ~lines["StockCode"].str.fullmatch(codes, case=False)
    return lines[lines["CustomerID"].notna() & product & (lines["UnitPrice"] > 0)]


def test_every_line_is_used_or_rejected_for_one_reason(imported):
    _, receipt = imported
    assert receipt.lines == 541_909
    assert receipt.rejected == {
        "no customer id": 135_080 - 3,
        "not a product (postage, fees, vouchers, corrections)": 1_920,
        "price of zero": 33,
        "adjustment of the books, no order": 3,
    }
    assert receipt.used == 541_909 - 135_080 - 1_920 - 33
    with receipt.rejects_path.open(encoding="utf-8") as file:
        assert sum(1 for _ in file) == 1 + 541_909 - receipt.used


def test_orders_returns_and_customers_are_those_that_pandas_finds(imported, kept):
    _, receipt = imported
    returned = kept["InvoiceNo"].str.startswith("C")
    assert receipt.used == len(kept)
    assert receipt.orders == receipt.new_orders == kept[~returned]["InvoiceNo"].nunique()
    assert receipt.returns == receipt.new_returns == kept[returned]["InvoiceNo"].nunique()
    assert receipt.customers == kept["CustomerID"].nunique() == 4_362


def test_no_penny_is_lost(imported, kept):
    ledger, _ = imported
    pence = (kept["UnitPrice"] * 1_000).round().astype("int64") * kept["Quantity"]
    paid = sum((1 if row["name"] != ORDER_REFUNDED else -1) * money(row) for row in ledger.rows("outcomes"))
    assert paid == Decimal(int(pence.sum())) / 1_000


def money(row):
    import msgspec

    facts = msgspec.json.decode(row["properties"])
    assert facts["revenue_micros"] == sum(micros for _, _, micros in facts["products"]) > 0
    return Decimal(facts["revenue_micros"]) / 1_000_000


def test_a_customer_s_history_is_hers(imported, kept):
    ledger, _ = imported
    hers = kept[kept["CustomerID"] == 12_748]
    returned = hers["InvoiceNo"].str.startswith("C")
    customer = ledger.customer("12748")
    assert customer.orders == hers[~returned]["InvoiceNo"].nunique()
    assert customer.returns == hers[returned]["InvoiceNo"].nunique()
    assert customer.revenue_micros == round(float((hers["UnitPrice"] * hers["Quantity"]).sum()) * 1e6)
    local = customer.first_order_at.astimezone(load_programme(CASE / "programme.toml").timezone)
    assert local.replace(tzinfo=None) == hers[~returned]["InvoiceDate"].min()
