"""Webhooks are signed: base64 of HMAC-SHA256 over the raw body, by a secret that shop and Encore share."""

from __future__ import annotations

import binascii
import hmac
import logging
from base64 import b64decode
from collections.abc import Mapping, Sequence
from pathlib import Path

log = logging.getLogger("encore")


def secrets_of(platform: str, environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """Return the secrets of a platform, all valid at once, so that one can be replaced by the next.

    They are the lines of `ENCORE_<PLATFORM>_SECRET` and of the file that `ENCORE_<PLATFORM>_SECRET_FILE` names, which
    is read each time: a secret that was replaced counts at once.
    """
    name = f"ENCORE_{platform.upper()}_SECRET"
    lines = environ.get(name, "").splitlines()
    if path := environ.get(f"{name}_FILE"):
        try:
            lines += Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            log.error("expected the secrets in the file that %s_FILE names: %s", name, type(error).__name__)
    return tuple(line.strip().encode() for line in lines if line.strip())


def is_signed(body: bytes, signature: str, secrets: Sequence[bytes]) -> bool:
    """Return whether one of the secrets signed a body. Takes the same time whichever it was, or none."""
    try:
        given = b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    found = False
    for secret in secrets:
        found |= hmac.compare_digest(hmac.digest(secret, body, "sha256"), given)
    return found
