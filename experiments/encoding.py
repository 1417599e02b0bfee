"""Fits the encoder: which facts of the context become numbers, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from decision.records import ContextValue, FloatArray
from decision.stages.context import FARTHEST, Column, Encoder

FEWEST_OF_A_LEVEL = 20
MOST_LEVELS = 30
SKEWED = 2.0
# Numbers beyond these quantiles are taken for them: few have them, and lines through few go astray.
RARE = 0.005
ROUNDING = 1e-9
# Of a caller who sends 1e300 the sums of squares must stay finite.
LARGEST = 1e100
# The scale of a number that is always the same where it is known: only its absence tells anything.
FLAT = 1e12


def fit_encoder(contexts: Sequence[Mapping[str, ContextValue]]) -> Encoder:
    """Return an encoder for contexts; a fact that never varies is left out.

    Categories keep their frequent levels; numbers are standardised, after a logarithm where non-negative and
    skewed; absence gets a column of its own where it occurs.
    """
    names = sorted({name for context in contexts for name in context})
    columns = [_column(name, [context.get(name) for context in contexts]) for name in names]
    return Encoder(tuple(column for column in columns if column is not None))


def encode_all(encoder: Encoder, contexts: Sequence[Mapping[str, ContextValue]]) -> FloatArray:
    """Return the vectors of contexts, shape [n, D]."""
    return np.array([encoder.encode(context) for context in contexts]).reshape(len(contexts), encoder.width)


def _column(name: str, values: list[ContextValue]) -> Column | None:
    texts = [value for value in values if isinstance(value, str)]
    if texts:
        return _category(name, texts, absent=len(values) - len(texts))
    numbers = np.array([value for value in values if isinstance(value, int | float)], dtype=float)
    return _number(name, numbers, absent=len(values) - len(numbers))


def _category(name: str, texts: list[str], *, absent: int) -> Column | None:
    frequent = [level for level, n in Counter(texts).most_common(MOST_LEVELS) if n >= FEWEST_OF_A_LEVEL]
    if len(frequent) == 1 and len(texts) == len([t for t in texts if t == frequent[0]]) and absent == 0:
        return None
    return Column(name, levels=tuple(sorted(frequent))) if frequent else None


def _number(name: str, numbers: FloatArray, *, absent: int) -> Column | None:
    missing = min(absent, len(numbers)) >= FEWEST_OF_A_LEVEL
    numbers = np.clip(numbers, -LARGEST, LARGEST)
    if not _varies(numbers):
        return Column(name, centre=float(numbers[0]), scale=FLAT, missing=True) if missing else None
    log = bool(numbers.min() >= 0.0 and _skewness(numbers) > SKEWED)
    shaped = np.log1p(numbers) if log else numbers
    centre, scale = float(shaped.mean()), float(shaped.std()) or 1.0
    least, most = np.quantile((shaped - centre) / scale, [RARE, 1.0 - RARE]).tolist()
    # Of a fact that is nearly always the same, the few that differ are all there is to learn from.
    if least == most:
        least, most = -FARTHEST, FARTHEST
    return Column(name, centre=centre, scale=scale, log=log, missing=missing, least=least, most=most)


def _varies(numbers: FloatArray) -> bool:
    # Not by the standard deviation: of a thousand times 59.9 it is 1e-14, and any other number over that is huge.
    return len(numbers) > 0 and bool(np.ptp(numbers) > ROUNDING * np.abs(numbers).max())


def _skewness(numbers: FloatArray) -> float:
    spread = numbers.std()
    return float((((numbers - numbers.mean()) / spread) ** 3).mean()) if spread > 0.0 else 0.0
