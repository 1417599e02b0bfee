"""Money is exact or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.errors import InvalidInput
from decision.money import digits, from_micros, to_micros


@given(st.integers(0, 10**15))
def test_micros_come_back_exactly(micros: int) -> None:
    assert to_micros(Decimal(micros) / 1_000_000) == micros


@pytest.mark.parametrize(
    "text", ["0", "-0", "0.000001", "1000000000", "1E+9", "1e-6", "49.9", "49.900000000000000000000000"]
)
def test_amounts_that_can_be_kept(text: str) -> None:
    assert to_micros(Decimal(text)) == Decimal(text) * 1_000_000


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("NaN", "finite"),
        ("sNaN", "finite"),
        ("-Infinity", "finite"),
        ("-0.01", "at least 0"),
        ("1000000000.01", "at most"),
        ("1e400", "at most"),
        ("1e99999999", "at most"),
        ("0.0000001", "six decimals"),
        ("1e-400", "six decimals"),
        ("1e-99999999", "six decimals"),
        ("1.0000000000000000000000000000000000001", "six decimals"),
        ("999999999.99999999999999999999999999999", "six decimals"),
    ],
)
def test_amounts_that_are_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence) as caught:
        to_micros(Decimal(text), pointer="$.total")
    assert caught.value.pointer == "$.total"


def test_a_margin_may_be_negative() -> None:
    assert to_micros(Decimal("-2.5"), allow_negative=True) == -2_500_000


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (1_234_565_000, "EUR", "1234.56"),  # half to even
        (1_234_575_000, "EUR", "1234.58"),
        (-1_500_000, "JPY", "-2"),
        (1_234_500, "KWD", "1.234"),
        (0, "EUR", "0.00"),
    ],
)
def test_answers_are_rounded_to_the_minor_unit(micros: int, currency: str, text: str) -> None:
    assert str(from_micros(micros, currency)) == text
    assert digits(currency) == max(0, -Decimal(text).as_tuple().exponent)
