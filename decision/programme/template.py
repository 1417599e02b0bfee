"""The commented `programme.toml` that `encore init` writes."""

from __future__ import annotations

import secrets
from pathlib import Path

from decision.errors import InvalidInput


def write_template(path: Path) -> None:
    """Write the template with a fresh salt to `path`. Raises `InvalidInput` when a file is there already."""
    if path.exists():
        raise InvalidInput(f"Expected no file at {path}, found one.", hint="Edit it, or give another --home.")
    path.parent.mkdir(parents=True, exist_ok=True)
    text = Path(__file__).with_name("template.toml").read_text(encoding="utf-8")
    path.write_text(text.replace("@SALT@", secrets.token_hex(8)), encoding="utf-8")
