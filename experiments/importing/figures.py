"""How a file writes numbers: 1234.50, 1.234,50, 1 234,50 or 1'234.50."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

POINTS = (".", ",")
GROUPS = (".", ",", " ", "'")
# What one key types and another program writes as a mark of its own.
_ALSO = {" ": " \u00a0\u202f", "'": "'\u2019"}


@dataclass(frozen=True, slots=True)
class Figures:
    """The mark before the fraction, and the one between thousands; empty where a file has none."""

    point: str = "."
    thousands: str = ""

    @property
    def example(self) -> str:
        """Return a number as the file should write it."""
        return f"1{self.thousands}234{self.point}50"

    def plain(self, written: str) -> str | None:
        """Return a number as a program writes it, such as 1234.50; None where the marks are not where they belong."""
        if self == PLAIN:
            return written
        found = _pattern(self.point, self.thousands).fullmatch(written)
        if found is None:
            return None
        whole = "".join(mark for mark in found[1] if mark.isdigit() or mark in "+-")
        return f"{whole}.{found[2]}" if found[2] else whole

    def expected(self, written: str) -> str:
        """Return what was expected and found, and what a mapping would say of a file that writes like this."""
        sentence = f"expected a number such as {self.example}, found {written[:40]!r}"
        other = next((each for each in _KNOWN if each != self and each.plain(written) is not None), None)
        if other is None:
            return sentence
        keys = [f'decimal = "{other.point}"'] if other.point != "." else []
        keys += [f'thousands = "{other.thousands}"'] if other.thousands else []
        return f"{sentence}; [file] {' and '.join(keys)} would read it" if keys else sentence


PLAIN = Figures()
_KNOWN = (Figures(".", ","), Figures(",", "."), Figures(",", " "), Figures(".", "'"))


@cache
def _pattern(point: str, thousands: str) -> re.Pattern[str]:
    """Return a pattern of the sign with the whole part, and of the fraction."""
    marks = _ALSO.get(thousands, thousands)
    grouped = rf"|\d{{1,3}}(?:[{re.escape(marks)}]\d{{3}})+" if thousands else ""
    return re.compile(rf"([+-]?(?:\d*{grouped}))(?:{re.escape(point)}(\d+))?")
