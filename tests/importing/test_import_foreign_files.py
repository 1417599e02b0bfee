"""Orders as shops elsewhere and other programs write them: read as they were meant, or refused with what to say."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.errors import InvalidInput
from experiments.importing.cells import Unusable, decimal
from experiments.importing.figures import Figures
from experiments.importing.mapping import InvalidMapping
from experiments.importing.orders import import_orders
from experiments.importing.orders_mapping import read_orders_mapping

PAGE = Path(__file__).resolve().parents[2] / "docs" / "importing.md"
EVER = {"start": datetime(2000, 1, 1, tzinfo=UTC), "end": datetime(2030, 1, 1, tzinfo=UTC)}
NOW = datetime(2026, 11, 1, tzinfo=UTC)
EUROPE = '[file]\ndelimiter = ";"\ndecimal = ","\nthousands = "."\n'
MONEY = 'time = "at"\ncurrency = "money"'
HEADER = "invoice,who,code,n,price,at"


def revenue(shop, who="ann"):
    return Decimal(shop.ledger.customer(who).revenue_micros) / 1_000_000


@given(
    st.decimals(min_value=-(10**9), max_value=10**9, places=2),
    st.sampled_from([Figures(",", "."), Figures(",", " "), Figures(".", "'"), Figures(".", ","), Figures(",")]),
)
def test_a_number_is_read_as_it_was_written_wherever_the_marks_are(amount, figures):
    marks = {",": figures.thousands, ".": figures.point}
    written = "".join(marks.get(mark, mark) for mark in f"{amount:,.2f}")
    assert decimal(written, "price", figures) == amount
    assert decimal(float(amount), "price", figures) == amount


@pytest.mark.parametrize(
    "cell", ["12.50", "1.23,50", "1.2345,5", "12,", "1,2,3", ".123", "12,5.0", "-", "1e5", "12 50"]
)
def test_marks_that_are_not_where_they_belong_are_never_taken_for_another_number(cell):
    with pytest.raises(Unusable, match="not a number in 'price'") as refused:
        decimal(cell, "price", Figures(",", "."))
    assert refused.value.detail.startswith(f"expected a number such as 1.234,50, found {cell!r}")


@pytest.mark.parametrize("cell", ["1\u00a0234,5", "1\u202f234,5", "1 234,5"])
def test_any_blank_may_stand_between_thousands(cell):
    assert decimal(cell, "price", Figures(",", " ")) == Decimal("1234.5")


def test_a_european_export_is_read_as_it_was_meant(shop, orders_mapping):
    receipt = shop.orders(
        "1;ann;tea;2;12,50;2026-03-01",
        "2;ann;sofa;1;1.234,50;2026-03-02",
        "3;ann;tea;1.000;0,01;2026-03-02",
        header=HEADER.replace(",", ";"),
        mapping=EUROPE + orders_mapping,
    )
    assert (receipt.used, revenue(shop)) == (3, Decimal("1269.5"))


@pytest.mark.parametrize(
    ("cell", "hint"),
    [
        ("12,50", '[file] decimal = "," and thousands = "." would read it'),
        ("1.234,50", '[file] decimal = "," and thousands = "." would read it'),
        ("1,234.50", '[file] thousands = "," would read it'),
        ("1'234.50", '[file] thousands = "\'" would read it'),
        ("12.50 EUR", "found '12.50 EUR'"),
    ],
)
def test_a_number_of_another_writing_is_refused_with_what_reads_it(shop, cell, hint):
    receipt = shop.orders(f'1,ann,tea,2,"{cell}",2026-03-01')
    assert receipt.rejected == {"not a number in 'price'": 1}
    with receipt.rejects_path.open(newline="") as file:
        (_, (_, told, *_)) = csv.reader(file)
    assert told.startswith(f"not a number in 'price': expected a number such as 1234.50, found {cell!r}")
    assert told.endswith(hint)
    assert list(receipt.explained) == [told.replace(": ", " (row 1: ", 1) + ")"]


def test_an_unquoted_decimal_comma_between_commas_is_named(shop):
    receipt = shop.orders("1,ann,tea,2,12,50,2026-03-01")
    (told,) = receipt.explained
    assert told == (
        "not 6 columns (row 1: expected 6, found 7; a text or a number that holds the delimiter needs quotes)"
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('decimal = "comma"', 'line 2, file.decimal: expected "." or ",", found \'comma\''),
        ('thousands = "_"', "file.thousands: expected .*found '_'"),
        ('decimal = ","\nthousands = ","', "file.thousands: expected another mark than that of `decimal`"),
    ],
)
def test_marks_that_no_file_has_are_mistakes_of_the_mapping(shop, orders_mapping, written, message):
    with pytest.raises(InvalidMapping, match=message):
        shop.orders(mapping=f"[file]\n{written}\n{orders_mapping}")


def test_numbers_of_a_parquet_file_are_numbers(shop, orders_mapping, tmp_path):
    pq.write_table(pa.table({"price": [1.5]}), tmp_path / "orders.parquet")
    mapping = shop.mapping(EUROPE + orders_mapping)
    with pytest.raises(InvalidMapping, match=r"file\.decimal: expected none for a Parquet file"):
        read_orders_mapping(mapping, tmp_path / "orders.parquet", shop.programme)


@pytest.mark.parametrize("code", ["EUR", "eur", "EUR ", " Eur"])
def test_a_currency_is_the_same_in_any_case(shop, orders_mapping, code):
    mapping = orders_mapping.replace('currency = "EUR"\n', "").replace('time = "at"', MONEY)
    assert shop.orders(f"1,ann,tea,1,1,2026-03-01,{code}", header=f"{HEADER},money", mapping=mapping).used == 1
    written = orders_mapping.replace('currency = "EUR"', f'currency = "{code}"')
    assert shop.orders("2,ann,tea,1,1,2026-03-01", mapping=written).used == 1


@pytest.mark.parametrize(("code", "reason"), [("usd", "another currency than EUR"), ("", "no currency in 'money'")])
def test_another_currency_and_none_are_two_reasons(shop, orders_mapping, code, reason):
    mapping = orders_mapping.replace('currency = "EUR"\n', "").replace('time = "at"', MONEY)
    receipt = shop.orders(f"1,ann,tea,1,1,2026-03-01,{code}", header=f"{HEADER},money", mapping=mapping)
    assert receipt.rejected == {reason: 1}


@pytest.mark.parametrize(
    ("pattern", "cell", "expected"),
    [
        ("%d/%m/%Y", "31/12/2011", datetime(2011, 12, 30, 23, tzinfo=UTC)),
        ("excel", "40908", datetime(2011, 12, 30, 23, tzinfo=UTC)),
        ("excel", "40908.604166667", datetime(2011, 12, 31, 13, 30, tzinfo=UTC)),
        ("excel", '"40908,604166667"', datetime(2011, 12, 31, 13, 30, tzinfo=UTC)),
        ("", "2011-12-31 08:30:00 -0500", datetime(2011, 12, 31, 13, 30, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_slashes_serials_and_platforms_write_them(shop, orders_mapping, pattern, cell, expected):
    named = f'time_format = "{pattern}"\n[columns]' if pattern else "[columns]"
    shop.orders(f"1,ann,tea,1,1,{cell}", mapping=orders_mapping.replace("[columns]", named))
    (order,) = shop.ledger.outcomes_of("ann", **EVER)
    assert order.occurred_at == expected


@pytest.mark.parametrize(("pattern", "cell"), [("", "31/12/2011"), ("%m/%d/%Y", "31/12/2011"), ("excel", "31/12/2011")])
def test_a_time_of_another_writing_says_what_was_expected_and_found(shop, orders_mapping, pattern, cell):
    named = f'time_format = "{pattern}"\n[columns]' if pattern else "[columns]"
    receipt = shop.orders(f"1,ann,tea,1,1,{cell}", mapping=orders_mapping.replace("[columns]", named))
    (told,) = receipt.explained
    assert told.startswith("no readable time in 'at' (row 1: expected ")
    assert f"found '{cell}'" in told
    assert pattern in told


@pytest.mark.parametrize("pattern", ["dd/mm/yyyy", "%Q", "%H:%M", "Excel"])
def test_a_pattern_that_reads_no_day_is_a_mistake_of_the_mapping(shop, orders_mapping, pattern):
    with pytest.raises(InvalidMapping, match=r"orders\.time_format: expected a pattern such as"):
        shop.orders(mapping=orders_mapping.replace("[columns]", f'time_format = "{pattern}"\n[columns]'))


def test_amounts_in_cents_are_hundredths_and_pieces_are_not(shop, orders_mapping):
    mapping = orders_mapping.replace("[columns]", 'amounts_in = "cents"\n[columns]\ndiscount = "off"')
    shop.orders("1,ann,tea,3,1250,2026-03-01,50", header=f"{HEADER},off", mapping=mapping)
    (order,) = shop.ledger.outcomes_of("ann", **EVER)
    assert revenue(shop) == Decimal("37.5")
    assert order.properties["products"] == [["tea", 3, 37_500_000]]
    assert order.properties["discount_micros"] == 500_000


def test_the_receipt_shows_days_and_money_so_that_a_wrong_reading_is_seen(shop):
    receipt = shop.orders("1,ann,tea,1,1250,2026-03-01", "2,bob,tea,1,2250,2026-04-05", "3,bob,tea,1,9250,2026-04-05")
    assert receipt.times == (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 4, 4, 22, tzinfo=UTC))
    assert receipt.median_order == 2250


@pytest.mark.parametrize("line", ["4.50012E+11,ann,tea,1,1,2026-03-01", '1,"4,5E+15",tea,1,1,2026-03-01'])
def test_ids_that_a_spreadsheet_rounded_do_not_become_one(shop, line):
    ((reason, n),) = shop.orders(line).rejected.items()
    assert (reason[:32], n) == ("an id that a spreadsheet rounded", 1)


def test_a_customer_of_another_order_is_told_from_one_of_the_same(shop):
    receipt = shop.orders("1,ann,tea,1,1,2026-03-01", "1,bob,tea,1,1,2026-03-01", "1,ann,mug,1,1,2026-03-01")
    assert receipt.rejected == {"another customer than the first line of its order": 1}
    assert revenue(shop) == 2


def test_negative_quantities_come_back_under_the_order_s_own_id(shop, orders_mapping):
    mapping = orders_mapping.replace('return_prefix = "C"', "negative_quantity = true")
    receipt = shop.orders("1,ann,tea,3,2,2026-03-01", "1,ann,tea,-1,2,2026-03-09", mapping=mapping)
    assert (receipt.orders, receipt.returns, revenue(shop)) == (1, 1, 4)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_spreadsheet_s_file_with_its_marks_quotes_and_line_breaks_is_read(shop, orders_mapping, encoding):
    said = "" if encoding.startswith("utf-8") else f'encoding = "{encoding}"\n'
    path = shop.root / "rows.csv"
    text = 'sep=;\r\ninvoice;who;code;n;price;at\r\n1;ann;"Tee €\r\n""grün""";2;"1.234,50";2026-03-01\r\n'
    path.write_bytes(text.encode(encoding))
    mapping, table = read_orders_mapping(shop.mapping(EUROPE + said + orders_mapping), path, shop.programme)
    receipt = import_orders(
        table, mapping, programme=shop.programme, ledger=shop.ledger, now=NOW, rejects_path=shop.rejects
    )
    assert (receipt.lines, receipt.rejected) == (1, {})
    (order,) = shop.ledger.outcomes_of("ann", **EVER)
    assert order.properties["products"] == [['Tee €\r\n"grün"', 2, 2_469_000_000]]


@pytest.mark.parametrize(
    ("written", "said", "found"),
    [("utf-8-sig", "latin-1", "utf-8"), ("utf-16", "utf-8", "utf-16"), ("utf-16", "cp1252", "utf-16")],
)
def test_a_file_whose_mark_says_another_encoding_is_refused(shop, orders_mapping, written, said, found):
    path = shop.root / "rows.csv"
    path.write_bytes(f"{HEADER}\n1,ann,tea,1,1,2026-03-01\n".encode(written))
    mapping = shop.mapping(f'[file]\nencoding = "{said}"\n{orders_mapping}')
    with pytest.raises(InvalidInput, match=f'found the mark of {found}.*encoding = "{found}"'):
        read_orders_mapping(mapping, path, shop.programme)


def test_a_trial_s_money_and_features_are_read_by_the_same_marks(shop, trial_mapping):
    receipt = shop.trial(
        *(f"{arm}{i};{arm};30,5;gold;1;1;12,50;0" for i in range(9) for arm in ("none", "thanks", "ten")),
        header="who;arm;years;tier;visit;bought;spend;used",
        mapping=EUROPE + trial_mapping,
    )
    assert (receipt.rows, receipt.rejected) == (27, {})
    decision = shop.ledger.decision("trial:spring:1")
    assert decision.context["age"] == 30.5


def test_the_mapping_in_the_docs_reads_what_they_say_it_reads(shop):
    mapping = PAGE.read_text(encoding="utf-8").split("```toml")[1].split("```")[0]
    path = shop.root / "rows.csv"
    path.write_bytes("Invoice;Customer;Article;Pieces;Price;Date\n1;ann;Mütze;1;1.234,50;31/12/2011\n".encode("cp1252"))
    read, table = read_orders_mapping(shop.mapping(mapping), path, shop.programme)
    receipt = import_orders(
        table, read, programme=shop.programme, ledger=shop.ledger, now=NOW, rejects_path=shop.rejects
    )
    assert (receipt.used, receipt.median_order) == (1, Decimal("1234.5"))
