"""Money: Decimal with a currency at the door, whole micros (a millionth of the unit) inside the ledger.

Micros keep sums of fractional cents (a message at 0.0075) exact in 64-bit integers up to nine trillion units.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from decision.errors import InvalidInput

MICROS = 1_000_000
SMALLEST = Decimal("0.000001")
LARGEST = Decimal(1_000_000_000)

# ISO 4217: the currencies that are money in somebody's pocket.
CURRENCIES = frozenset(
    (
        "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF "
        "CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD "
        "HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD "
        "MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN "
        "PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY "
        "TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"
    ).split(" ")
)
# The currencies whose minor unit is not two digits.
_NO_DIGITS = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(" "))
_THREE_DIGITS = frozenset("BHD IQD JOD KWD LYD OMR TND".split(" "))


def digits(currency: str) -> int:
    """Return how many decimals `currency` (ISO 4217 code) has."""
    return 0 if currency in _NO_DIGITS else 3 if currency in _THREE_DIGITS else 2


def to_micros(amount: Decimal, *, pointer: str = "", allow_negative: bool = False) -> int:
    """Return `amount` in whole micros.

    Raises
    ------
    InvalidInput : the amount is not finite, is negative, is larger than a billion units, or has more than
        six decimals.
    """
    where = f" at {pointer}" if pointer else ""
    if not amount.is_finite():
        raise InvalidInput(f"Expected a finite amount{where}, found {amount}.", pointer=pointer)
    if amount < 0 and not allow_negative:
        raise InvalidInput(
            f"Expected an amount of at least 0{where}, found {amount}.",
            hint="Send refunds as positive amounts of an Order Refunded event.",
            pointer=pointer,
        )
    if amount.copy_abs() > LARGEST:
        raise InvalidInput(f"Expected an amount of at most {LARGEST}{where}, found {amount}.", pointer=pointer)
    exact = amount.quantize(SMALLEST)
    # Compared, not multiplied: a product is rounded to 28 digits and would hide what is too precise.
    if exact != amount:
        raise InvalidInput(f"Expected at most six decimals{where}, found {amount}.", pointer=pointer)
    return int(exact * MICROS)


def from_micros(micros: int, currency: str) -> Decimal:
    """Return whole `micros` as a Decimal rounded to the minor unit of `currency`."""
    return (Decimal(micros) / MICROS).quantize(Decimal(1).scaleb(-digits(currency)), ROUND_HALF_EVEN)
