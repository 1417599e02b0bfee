"""Ids of decisions."""

from __future__ import annotations

import secrets
from datetime import datetime


def new_decision_id(now: datetime) -> str:
    """Return a fresh id that sorts by time: 12 hexadecimal digits of milliseconds, then 20 at random."""
    return f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(10)}"
