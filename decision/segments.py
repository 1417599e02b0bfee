"""What a run over everybody found: who is in which segment, what separates them, and who moved. Nothing of a person."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

SOURCE = "predictions"


class Segment(Struct, frozen=True):
    """A segment of a kind (`rfm` or `grid`), its size and share of customers, what it means, and who belongs to it."""

    kind: str
    name: str
    size: int
    share: float
    meaning: str
    rule: str


class Migration(Struct, frozen=True):
    """How many customers moved from which segment of a kind (rows; `not yet` is new ones) to which (columns)."""

    kind: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Verdict(Struct, frozen=True):
    """Whether a model had enough data; if not, why, and the rule whose answer stands instead."""

    model: str
    enough: bool
    why: str
    rule: str


class Run(Struct, frozen=True):
    """A run: what was known before `as_of`, predicted by the models of `version`. `before` is the run compared with.

    `deadline_days` is the day after a first purchase by which she should have returned, with its 95 % interval.
    """

    as_of: datetime
    version: str
    made_at: datetime
    customers: int
    clv_days: int
    currency: str
    segments: tuple[Segment, ...]
    thresholds: dict[str, tuple[float, ...]]
    verdicts: tuple[Verdict, ...]
    before: datetime | None = None
    before_version: str | None = None
    migrations: tuple[Migration, ...] = ()
    deadline_days: tuple[int, int, int] | None = None
