from datetime import UTC, datetime
from pathlib import Path

import pytest

from decision.ledger.sqlite import SqliteLedger
from decision.programme.read import load_programme
from experiments.history.from_ledger import history_of_ledger
from experiments.history.from_orders import history_of_file
from experiments.importing.orders import import_orders
from experiments.importing.orders_mapping import read_orders_mapping
from tests.support import programme

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DATA = ROOT.parent / "shared" / "data" / "online_retail" / "online_retail.parquet"
MAPPING = """
[orders]
name = "shop"
currency = "EUR"
[columns]
order_id = "order"
customer_id = "who"
product = "article"
quantity = "n"
unit_price = "price"
time = "when"
category = "group"
variant = "size"
discount = "off"
margin = "earned"
channel = "through"
store = "where"
loyalty = "member"
return_reason = "why"
[returns]
negative_quantity = true
"""
ORDERS = """order,who,article,n,price,when,group,size,off,earned,through,where,member,why
1,ada,shirt,1,20.00,2026-03-01T10:00,tops,M,2.00,8.00,email,berlin,1,
1,ada,shirt,1,20.00,2026-03-01T10:00,tops,L,2.00,8.00,email,berlin,1,
1,ada,shirt,-1,20.00,2026-03-09T10:00,tops,L,,,,,,too large
2,bob,nut,0.4,10.00,2026-04-01T10:00,,,,,,,,
3,bob,nut,none,10.00,2026-04-01T10:00,,,,,,,,
4,bob,nut,1,10.00,2026-05-01T10:00,,,,,,,perhaps,
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "orders.csv").write_text(ORDERS)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return tmp_path / "orders.csv", tmp_path / "mapping.toml"


def test_lines_come_with_all_that_the_mapping_names(files: tuple[Path, Path], tmp_path: Path) -> None:
    history = history_of_file(*files, programme(), now=NOW, rejects_path=tmp_path / "rejects.csv")
    first, _, back, nut = history.order_lines.to_pylist()
    assert (first["product"], first["variant"], first["category"], first["amount"]) == ("shirt", "M", "tops", 20.0)
    assert (first["discount"], first["margin"], first["loyalty"]) == (2.0, 8.0, True)
    assert (first["channel"], first["store"], first["return_reason"]) == ("email", "berlin", None)
    assert (back["is_return"], back["amount"], back["quantity"]) == (True, -20.0, 1)
    assert (back["return_reason"], back["loyalty"], back["margin"]) == ("too large", None, None)
    assert (nut["quantity"], nut["amount"], nut["category"], nut["cancelled_at"]) == (1, 4.0, None, None)


def test_a_bad_row_is_a_reject_with_its_reason_and_the_rest_goes_on(files: tuple[Path, Path], tmp_path: Path) -> None:
    history = history_of_file(*files, programme(), now=NOW, rejects_path=tmp_path / "rejects.csv")
    assert history.left_out == {
        "not a number in 'n' (row 5: expected a number such as 1234.50, found 'none')": 1,
        "not 0 or 1 in 'member' (row 6: expected 0 or 1, true or false, yes or no, found 'perhaps')": 1,
    }
    assert (tmp_path / "rejects.csv").read_text().count("\n") == 3


def test_a_file_and_the_ledger_it_was_imported_into_tell_the_same(files: tuple[Path, Path], tmp_path: Path) -> None:
    file, mapping_path = files
    mapping, table = read_orders_mapping(mapping_path, file, programme())
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    import_orders(table, mapping, programme=programme(), ledger=ledger, now=NOW, rejects_path=tmp_path / "rejects.csv")
    ledger.close()
    by_ledger = history_of_ledger(ledger.path).order_lines
    assert by_ledger.equals(history_of_file(file, mapping_path, programme(), now=NOW).order_lines)


@pytest.mark.skipif(not DATA.exists(), reason="Online Retail is not on this machine")
def test_online_retail_is_read_as_it_is_imported() -> None:
    case = ROOT / "experiments" / "cases" / "online_retail"
    retail = load_programme(case / "programme.toml")
    history = history_of_file(DATA, case / "mapping.toml", retail, now=NOW)
    lines = history.order_lines.to_pandas()
    assert len(lines) + sum(history.left_out.values()) == 541_909
    assert lines.customer_id.nunique() > 4_300
    assert (lines.amount[~lines.is_return] > 0).all()
    assert (lines.amount[lines.is_return] < 0).all()
