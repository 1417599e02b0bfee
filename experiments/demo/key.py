"""The API key of `make run`: the same at every start. It lies in a file, because the ledger has only its hash."""

from __future__ import annotations

import os
from pathlib import Path

from decision.flow.keys import create_key
from decision.stages.keys import Keyring, Role
from decision.wiring import Home, system_user, utc_now

NAME = "make run"


def own_key(home: Home) -> str:
    """Return the key that the examples carry, of role admin: they ask, look up and tell. Made where none is valid."""
    path, ledger = home.root / "make-run.key", home.ledger()
    kept = path.read_text().strip() if path.exists() else ""
    if Keyring(ledger.api_keys()).find(kept):
        return kept
    key = create_key(NAME, role=Role.ADMIN, ledger=ledger, actor=system_user(), now=utc_now())
    _write(path, key)
    return key


def _write(path: Path, key: str) -> None:
    # Nobody else may read it at any moment, also where an older file has wider rights.
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{key}\n")
