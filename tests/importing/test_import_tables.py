from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from decision.errors import InvalidInput
from experiments.importing.table import open_table


def write(path, rows):
    if path.suffix == ".parquet":
        columns = list(zip(*rows, strict=True)) or [[], []]
        pq.write_table(pa.table({"a": pa.array(columns[0], pa.string()), "b": pa.array(columns[1], pa.string())}), path)
    else:
        path.write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in rows), encoding="utf-8")
    return path


@pytest.fixture(params=["rows.csv", "rows.parquet"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize("n", [0, 1, 10_000, 25_001])
def test_every_row_is_read_once_with_its_number_and_the_advance_adds_up(path, n):
    table = open_table(write(path, [(str(i), "ü") for i in range(1, n + 1)]))
    for _ in range(2):
        batches = list(table.batches())
        rows = [(number, row[0]) for batch in batches for number, row in batch.numbered()]
        assert rows == [(i, str(i)) for i in range(1, n + 1)]
        assert all(len(batch.rows) <= 10_000 for batch in batches)
        assert sum(batch.advance for batch in batches) == (table.length if n else 0)
    assert table.columns == ("a", "b")


def test_a_byte_order_mark_a_quoted_line_break_and_blank_lines_are_understood(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b'\xef\xbb\xbfa;b\r\n1;"two\nlines"\r\n\r\n2;x\r\n')
    table = open_table(path, delimiter=";")
    assert table.columns == ("a", "b")
    assert [list(row) for batch in table.batches() for row in batch.rows] == [["1", "two\nlines"], ["2", "x"]]


def test_a_damaged_row_comes_as_it_is(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1\n1,2,3\n")
    assert [row for batch in open_table(path).batches() for row in batch.rows] == [["1"], ["1", "2", "3"]]


def test_other_bytes_than_the_encoding_are_named_with_what_to_do(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes("a,b\n1,£\n".encode("latin-1"))
    with pytest.raises(InvalidInput, match=r"Expected utf-8.*latin-1"):
        list(open_table(path).batches())
    assert [row for batch in open_table(path, encoding="latin-1").batches() for row in batch.rows] == [["1", "£"]]


def test_a_quote_that_is_never_closed_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,"' + "x" * 200_000)
    with pytest.raises(InvalidInput, match="never closed"):
        list(open_table(path).batches())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("rows.csv", "", "found no columns"),
        ("rows.csv", "a,b,a\n", "found 'a' more than once"),
        ("rows.parquet", "a,b\n", "Expected Parquet"),
        ("rows.xlsx", "a,b\n", "ending in .csv or .parquet"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=message):
        open_table(tmp_path / name)


def test_parquet_cells_keep_what_was_written(tmp_path):
    columns = {
        "price": pa.array([2.55], pa.float32()),
        "exact": pa.array([Decimal("2.550")], pa.decimal128(9, 3)),
        "at": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", tz="UTC")),
        "code": pa.array(["x"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    ((row,),) = [batch.rows for batch in open_table(tmp_path / "rows.parquet").batches()]
    assert row == ("2.55", Decimal("2.550"), datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC), "x")


def test_times_beyond_the_years_of_python_come_as_they_are_written_and_the_rest_is_read(tmp_path):
    written = pa.array([2**62, 1_700_000_000_000_000], pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table({"at": written}), tmp_path / "rows.parquet")
    (batch,) = open_table(tmp_path / "rows.parquet").batches()
    assert [row for (row,) in batch.rows] == [str(2**62), datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)]
