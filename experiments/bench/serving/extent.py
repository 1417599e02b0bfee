"""How far a run goes."""

from __future__ import annotations

import msgspec


class Extent(msgspec.Struct, frozen=True):
    """`peers` and `install` may fetch packages; `past` is how many decisions the largest ledger holds already."""

    peers: bool
    install: bool
    past: int
    customers: tuple[int, ...]
