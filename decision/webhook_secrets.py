"""Where the secrets of endpoints are: a variable, or a file in the home that only its owner reads. Never the ledger."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from decision.errors import InvalidInput, NotFound
from decision.stages.signing import ENTROPY_BYTES, Secret, secret_of


def variable_of(name: str) -> str:
    """Return the variable whose secrets, with spaces between them, go before the file's."""
    return f"ENCORE_WEBHOOK_SECRET_{name.upper()}"


def path_of(root: Path, name: str) -> Path:
    """Return the file of an endpoint's secrets in a home: a line each, with the time it ends where it does."""
    return root / "webhooks" / f"{name}.secret"


def read(root: Path, name: str, *, environment: Mapping[str, str] = os.environ) -> tuple[Secret, ...]:
    """Return the secrets of an endpoint, the newest first.

    Raises
    ------
    NotFound : there is none.
    InvalidInput : what is there can't be read.
    """
    if given := environment.get(variable_of(name), "").split():
        return tuple(secret_of(text) for text in given)
    path = path_of(root, name)
    try:
        lines = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
        found = tuple(secret_of(text, until=datetime.fromisoformat(end[0]) if end else None) for text, *end in lines)
    except FileNotFoundError:
        found = ()
    except (OSError, ValueError) as error:
        raise InvalidInput(f"Expected a secret a line in {path}, found otherwise: {type(error).__name__}.") from None
    if not found:
        raise NotFound(f"Expected a secret in {path} or ${variable_of(name)}, found none.")
    return found


def renew(root: Path, name: str, *, before: Iterable[Secret]) -> Secret:
    """Write a new secret before those that sign as well for a while, and return it."""
    new = Secret(secrets.token_bytes(ENTROPY_BYTES))
    path = path_of(root, name)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    lines = [f"{s.text} {s.until.isoformat()}" if s.until else s.text for s in (new, *before)]
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    # Nobody else may read it at any moment, and a sender reads the old file or the new one.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("\n".join((*lines, "")))
    fresh.replace(path)
    return new
