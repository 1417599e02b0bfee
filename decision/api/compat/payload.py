"""What both shop platforms' payloads have in common: ids, exact money, and what may be kept of a person."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from decision.errors import InvalidInput
from decision.money import MICROS, to_micros

Id = int | str
# What an order may carry to say which customer it is of, in the words of the decision.
CUSTOMER_ATTRIBUTE = "encore_customer_id"
LONGEST_ID = 100
# What is said of guests' orders, and told to a person once.
OF_A_GUEST = "An order of a guest: nobody knows whose it is."
GUESTS_ASIDE = (
    f'Orders of guests are left aside. Put {CUSTOMER_ATTRIBUTE} on them, or say guests = "email" under [programme].'
)
# Numbers are kept as they were written, and never become binary floats.
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def text_of(number: Id, *, pointer: str) -> str:
    """Return an id as text. Raises `InvalidInput` when it is empty or longer than any id is."""
    text = str(number)
    if not 0 < len(text) <= LONGEST_ID:
        raise InvalidInput(f"Expected 1 to {LONGEST_ID} characters at {pointer}, found {len(text)}.", pointer=pointer)
    return text


def micros_of(amount: Decimal, *, pointer: str) -> int:
    """Return an amount in whole micros, below 0 where the platform counts what goes back so."""
    return to_micros(amount, pointer=pointer, allow_negative=True)


def amount_of(micros: int) -> str:
    """Return micros as the exact text that events take."""
    return str(Decimal(micros) / MICROS)


def guest_id(email: str, *, salt: str) -> str:
    """Return the customer id of who has no account: a hash of her address that only the shop's salt can repeat."""
    return f"guest-{hmac.digest(salt.encode(), email.strip().lower().encode(), 'sha256').hex()}"


def in_utc(moment: datetime) -> datetime:
    """Return a time in UTC; one without its offset is in UTC already, as in fields that end in `_gmt`.

    Raises
    ------
    InvalidInput : in UTC it lies outside of all years.
    """
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise InvalidInput(f"Expected a time, found {moment.isoformat()}.", hint="Is the clock set?") from None


def keeper(*shapes: type[msgspec.Struct]) -> Callable[[bytes], str]:
    """Return what cuts a body down to the fields that are read: names, addresses and e-mails are not kept."""
    names = frozenset(field.encode_name for shape in shapes for field in msgspec.structs.fields(shape)) - {"email"}

    def cut(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: cut(inner) for key, inner in value.items() if key in names}
        if isinstance(value, list):
            return [cut(inner) for inner in value if not _of_a_person(inner)]
        return value

    def kept(body: bytes) -> str:
        try:
            found = cut(_decoder.decode(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return ""
        return _encoder.encode(found).decode()

    return kept


def _of_a_person(value: Any) -> bool:
    """Return whether a list holds here what somebody wrote on an order: a greeting, a phone number."""
    if not isinstance(value, dict) or "value" not in value:
        return False
    return CUSTOMER_ATTRIBUTE not in (value.get("name"), value.get("key"))
