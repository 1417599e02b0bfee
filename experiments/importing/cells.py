"""One cell of a file into one fact: text, number, amount, yes or no, time. What can't be read says why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from decision.errors import EncoreError
from decision.stages.events import EARLIEST

_FLAGS = {"0": False, "0.0": False, "false": False, "no": False, "1": True, "1.0": True, "true": True, "yes": True}
LONGEST_TEXT = 200
LONGEST_NUMBER = 40


class Unusable(EncoreError):
    """A row can't be used. The message is the reason it is counted under, so it names columns, never values."""


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


def decimal(value: Any, column: str) -> Decimal:
    """Return a cell as an exact decimal; a binary fraction means its shortest decimal. Raises `Unusable`."""
    if value is None or value == "":
        raise Unusable(f"no value in {column!r}")
    written = repr(value) if isinstance(value, float) else str(value).strip()
    try:
        # Decimal would take 1_000, which no shop means; endless digits would only cost time.
        number = Decimal(written) if "_" not in written and len(written) <= LONGEST_NUMBER else Decimal("nan")
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise Unusable(f"not a number in {column!r}")
    return number


def number(value: Any, column: str) -> float | None:
    """Return a cell as a number, or None where it is empty. Raises `Unusable`."""
    if isinstance(value, bool):
        return float(value)
    if text(value) is None:
        return None
    found = float(decimal(value, column))
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
        raise Unusable(f"not 0 or 1 in {column!r}")
    return answer


@dataclass(frozen=True, slots=True)
class Clock:
    """How times are written: a time without offset is of `timezone`; `pattern` as in strptime, empty for ISO 8601."""

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
            raise Unusable(f"no readable time in {column!r}") from None
        if found < EARLIEST:
            raise Unusable(f"a time before 1970 in {column!r}")
        return found

    def _parse(self, written: str) -> datetime:
        written = written.strip()
        # The lines of an order share their time, so most texts have been read before.
        found = self._known.get(written)
        if found is None:
            naive = datetime.strptime(written, self.pattern) if self.pattern else datetime.fromisoformat(written)
            found = self.utc(naive)
            if len(self._known) < 100_000:
                self._known[written] = found
        return found
