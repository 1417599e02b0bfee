"""One cell of a file into one fact: text, number, amount, yes or no, time. What can't be read says why."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from decision.errors import EncoreError
from decision.stages.events import EARLIEST
from experiments.importing.figures import PLAIN, Figures

_FLAGS = {"0": False, "0.0": False, "false": False, "no": False, "1": True, "1.0": True, "true": True, "yes": True}
LONGEST_TEXT = 200
LONGEST_NUMBER = 40
SERIAL = "excel"
_SERIAL_ZERO = datetime(1899, 12, 30)
# Shopify puts a blank before the offset: 2026-03-25 12:33:55 -0400.
_BLANK_BEFORE_OFFSET = re.compile(r"(?<=:\d\d) (?=[+-]\d\d:?\d\d$)")


class Unusable(EncoreError):
    """A row can't be used. The message is the reason it is counted under, so it names columns, never values.

    `detail` says of this row what was expected and found.
    """

    def __init__(self, reason: str, *, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


def text(value: Any) -> str | None:
    """Return a cell as text without surrounding blanks, or None where it is empty.

    A whole number that a file keeps as a fraction (17850.0, because others are missing) is read as 17850.
    """
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if value.is_integer():
            value = int(value)
    return None if value is None else str(value).strip() or None


def decimal(value: Any, column: str, figures: Figures = PLAIN) -> Decimal:
    """Return a cell as an exact decimal; a binary fraction means its shortest decimal. Raises `Unusable`.

    `figures` says how text is written; a cell that is a number already is one.
    """
    written = repr(value) if isinstance(value, float) else "" if value is None else str(value).strip()
    if not written:
        raise Unusable(f"no value in {column!r}")
    plain = figures.plain(written) if isinstance(value, str) else written
    try:
        # Decimal would take 1_000, which no shop means; endless digits would only cost time.
        usable = plain is not None and "_" not in plain and len(plain) <= LONGEST_NUMBER
        number = Decimal(plain) if plain is not None and usable else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise Unusable(f"not a number in {column!r}", detail=figures.expected(written))
    return number


def number(value: Any, column: str, figures: Figures = PLAIN) -> float | None:
    """Return a cell as a number, or None where it is empty. Raises `Unusable`."""
    if isinstance(value, bool):
        return float(value)
    if text(value) is None:
        return None
    found = float(decimal(value, column, figures))
    if not math.isfinite(found):
        raise Unusable(f"not a number in {column!r}")
    return found


def category(value: Any, column: str) -> str | None:
    """Return a cell as a category, or None where it is empty. Raises `Unusable`."""
    found = text(value)
    if found is not None and len(found) > LONGEST_TEXT:
        raise Unusable(f"more than {LONGEST_TEXT} characters in {column!r}")
    return found


def flag(value: Any, column: str) -> bool:
    """Return a cell as yes or no: 0 and 1, true and false, yes and no. Raises `Unusable`."""
    found = text(value)
    if found is None:
        raise Unusable(f"no value in {column!r}")
    answer = _FLAGS.get(found.lower())
    if answer is None:
        raise Unusable(
            f"not 0 or 1 in {column!r}", detail=f"expected 0 or 1, true or false, yes or no, found {found[:40]!r}"
        )
    return answer


@dataclass(frozen=True, slots=True)
class Clock:
    """How times are written: a time without offset is of `timezone`; `pattern` as in strptime, empty for ISO 8601.

    The pattern `excel` reads days since the end of 1899, as a spreadsheet keeps a time in a cell without a format.
    """

    timezone: ZoneInfo
    pattern: str = ""
    _known: dict[str, datetime] = field(default_factory=dict, compare=False, repr=False)

    def utc(self, moment: date) -> datetime:
        """Return a date (its midnight) or a time in UTC."""
        if not isinstance(moment, datetime):
            moment = datetime.combine(moment, time())
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.timezone)
        return moment.astimezone(UTC)

    def read(self, value: Any, column: str) -> datetime:
        """Return a cell as a time in UTC from 1970 on. Raises `Unusable`."""
        try:
            found = self.utc(value) if isinstance(value, date) else self._parse("" if value is None else str(value))
        except (ValueError, OverflowError):
            raise Unusable(f"no readable time in {column!r}", detail=self._expected(value)) from None
        if found < EARLIEST:
            raise Unusable(f"a time before 1970 in {column!r}", detail=f"found {str(value)[:40]!r}")
        return found

    def _parse(self, written: str) -> datetime:
        written = written.strip()
        # The lines of an order share their time, so most texts have been read before.
        found = self._known.get(written)
        if found is None:
            found = self.utc(self._moment(written))
            if len(self._known) < 100_000:
                self._known[written] = found
        return found

    def _moment(self, written: str) -> datetime:
        if self.pattern == SERIAL:
            try:
                days = Decimal(written.replace(",", "."))
            except InvalidOperation:
                raise ValueError from None
            if not days.is_finite():
                raise ValueError
            # A serial is a binary fraction of a day: seconds are all it keeps.
            return _SERIAL_ZERO + timedelta(seconds=round(days * 86_400))
        if self.pattern:
            return datetime.strptime(written, self.pattern)
        return datetime.fromisoformat(_BLANK_BEFORE_OFFSET.sub("", written))

    def _expected(self, value: Any) -> str:
        if value is None or value == "":
            return ""
        if self.pattern == SERIAL:
            said, hint = 'days since 1899 such as 40878.35 (time_format = "excel")', ""
        elif self.pattern:
            said, hint = f"a time as in time_format = {self.pattern!r}", ""
        else:
            said = "a time such as 2026-03-01 14:30 (ISO 8601)"
            hint = '; time_format = "%d/%m/%Y %H:%M" reads 01/03/2026 14:30, "excel" reads 46082.6'
        return f"expected {said}, found {str(value)[:40]!r}{hint}"
