from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.importing.cells import Clock, Unusable, category, decimal, flag, number, text

BERLIN = Clock(ZoneInfo("Europe/Berlin"))


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_an_amount_that_a_file_keeps_as_a_binary_fraction_is_read_as_it_was_written(amount):
    assert decimal(float(amount), "price") == amount
    assert decimal(str(amount), "price") == amount


@pytest.mark.parametrize("cell", ["4,20", "1_000", "nan", "inf", "four", "1" * 41, float("nan"), "NaN7", "--1"])
def test_what_is_not_a_finite_number_is_refused_with_its_column(cell):
    with pytest.raises(Unusable, match=r"^not a number in 'price'$"):
        decimal(cell, "price")


@pytest.mark.parametrize("cell", [None, ""])
def test_an_empty_amount_is_not_a_zero(cell):
    with pytest.raises(Unusable, match=r"^no value in 'price'$"):
        decimal(cell, "price")


@pytest.mark.parametrize(
    ("cell", "expected"), [("3.5", 3.5), (3, 3.0), (True, 1.0), ("", None), (None, None), (float("nan"), None)]
)
def test_a_number_may_be_missing(cell, expected):
    assert number(cell, "age") == expected


def test_a_number_too_large_for_a_float_is_refused():
    with pytest.raises(Unusable, match="not a number"):
        number("1e999", "age")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [(" a ", "a"), (17850.0, "17850"), (17850, "17850"), (1.5, "1.5"), (float("nan"), None), ("  ", None)],
)
def test_identifiers_are_text_also_where_missing_ones_made_the_column_fractions(cell, expected):
    assert text(cell) == expected


def test_a_category_of_more_than_200_characters_is_refused():
    assert category("x" * 200, "tier") == "x" * 200
    with pytest.raises(Unusable, match="more than 200 characters in 'tier'"):
        category("x" * 201, "tier")


@pytest.mark.parametrize("cell", [1, "1", True, "TRUE", "yes", 1.0, "1.0", Decimal(1)])
def test_yes_is_read_however_it_is_written(cell):
    assert flag(cell, "bought") is True


@pytest.mark.parametrize("cell", [0, "0", False, "False", "no", 0.0])
def test_no_is_read_however_it_is_written(cell):
    assert flag(cell, "bought") is False


@pytest.mark.parametrize("cell", [2, "maybe", -1, 0.5])
def test_what_is_neither_yes_nor_no_is_refused(cell):
    with pytest.raises(Unusable, match="not 0 or 1 in 'bought'"):
        flag(cell, "bought")


def test_a_time_without_offset_is_of_the_named_zone_and_one_with_offset_is_not():
    assert BERLIN.read("2026-07-01 10:00", "at") == datetime(2026, 7, 1, 8, tzinfo=UTC)
    assert BERLIN.read(datetime(2026, 1, 1, 10), "at") == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert BERLIN.read("2026-07-01T10:00:00Z", "at") == datetime(2026, 7, 1, 10, tzinfo=UTC)


@pytest.mark.parametrize("cell", ["1969-12-31T23:59:59Z", date(1900, 1, 1)])
def test_a_time_before_1970_is_a_clock_that_was_never_set(cell):
    with pytest.raises(Unusable, match=r"^a time before 1970 in 'at'$"):
        BERLIN.read(cell, "at")


def test_a_day_begins_at_its_local_midnight():
    assert BERLIN.read(date(2026, 7, 1), "at") == datetime(2026, 6, 30, 22, tzinfo=UTC)


def test_times_follow_the_pattern_of_the_mapping():
    american = Clock(ZoneInfo("UTC"), "%m/%d/%Y %H:%M")
    assert american.read("12/1/2010 8:26", "at") == datetime(2010, 12, 1, 8, 26, tzinfo=UTC)
    with pytest.raises(Unusable, match="no readable time in 'at'"):
        american.read("2010-12-01", "at")


@pytest.mark.parametrize("cell", [None, "", "yesterday", 17, "2026-02-30"])
def test_what_is_no_time_is_refused(cell):
    with pytest.raises(Unusable, match=r"^no readable time in 'at'$"):
        BERLIN.read(cell, "at")
