"""The use case: somebody gets a key of their own."""

from __future__ import annotations

import secrets
from datetime import datetime

from decision.ledger.base import Ledger
from decision.stages.keys import ENTROPY_BYTES, Role, issue


def create_key(name: str, *, role: Role, ledger: Ledger, actor: str, now: datetime) -> str:
    """Write a new key down and return its text, which is known nowhere else. Raises `InvalidInput` for a bad name."""
    key, text = issue(name, role=role, entropy=secrets.token_bytes(ENTROPY_BYTES), now=now)
    ledger.record_key(key, actor=actor)
    return text
