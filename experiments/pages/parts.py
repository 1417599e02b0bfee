"""What a page is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts under heads; the first column names the row. `texts` : its last column holds sentences."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure of matplotlib, and the same narrow enough for a telephone."""

    wide: Any
    narrow: Any


@dataclass(frozen=True, slots=True)
class Section:
    """A title, the sentences, and a figure or a table that shows it.

    Parameters
    ----------
    figure : of matplotlib, or a `Picture` of two.
    note : how to read it.
    alt : what the figure shows, in words, for those who don't see it; the title unless given.
    doubt : why its results are not to be believed; they are greyed then, and the reason is above them.
    listing : text that is shown as it is, such as a file.
    """

    title: str
    sentences: Sequence[str]
    figure: Any = None
    table: Table | None = None
    note: str = ""
    alt: str = ""
    doubt: str = ""
    listing: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A page from the top down.

    Parameters
    ----------
    title : of the browser's tab.
    about : whose page it is, in small above the headline.
    headline : the one sentence that all is about.
    alarms : what forbids to believe the rest, as (what, why); they are above the headline.
    lines : sentences right under the headline.
    numbers : big numbers as (number, what it is). `doubt` greys them, as in a section.
    footer : what it was made of.
    """

    title: str
    about: str
    headline: str
    sections: Sequence[Section]
    footer: str
    numbers: Sequence[tuple[str, str]] = ()
    alarms: Sequence[tuple[str, str]] = ()
    lines: Sequence[str] = ()
    doubt: str = ""


def shown(section: Section | None) -> Iterator[Section]:
    """Yield a section, where there is one."""
    if section is not None:
        yield section
