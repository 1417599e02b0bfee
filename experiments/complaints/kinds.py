"""What a review complains of, found by lists of terms that anybody can read and change."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from decision.errors import InvalidInput
from decision.records import BoolArray

TERMS = Path(__file__).with_name("kinds.toml")
# "Not too small" praises.
_DENIED = re.compile(r"(?:\bnot|\bnever|n['’]?t|\bno|\bwithout)(?: \w+)?\s*$")
_BEFORE = 24
Kinds = Mapping[str, re.Pattern[str]]


def read_kinds(path: Path = TERMS) -> Kinds:
    """Return a pattern for each kind of problem.

    Raises
    ------
    InvalidInput : the file is no TOML of lists, or a term is no regular expression.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"Expected TOML in {path}, found: {error}.") from None
    kinds = {}
    for kind, terms in told.items():
        if not isinstance(terms, list) or not terms or not all(isinstance(term, str) and term for term in terms):
            raise InvalidInput(f"Expected a list of terms under {kind} in {path}, found {terms!r}.")
        try:
            kinds[kind] = re.compile("|".join(rf"\b(?:{term})\b" for term in terms), re.IGNORECASE)
        except re.error as error:
            raise InvalidInput(f"Expected regular expressions under {kind} in {path}, found: {error}.") from None
    if not kinds:
        raise InvalidInput(f"Expected at least one kind of problem in {path}, found none.")
    return kinds


def mentions(texts: Sequence[str], kinds: Kinds) -> BoolArray:
    """Return whether each text [R] mentions each kind [K] without denying it."""
    found = [[_mentioned(pattern.finditer(text), text) for pattern in kinds.values()] for text in texts]
    return np.array(found, dtype=np.bool_).reshape(len(texts), len(kinds))


def _mentioned(matches: Iterable[re.Match[str]], text: str) -> bool:
    return any(not _DENIED.search(text[max(m.start() - _BEFORE, 0) : m.start()].lower()) for m in matches)
