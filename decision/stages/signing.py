"""Signatures of outgoing webhooks as Standard Webhooks 1.0.0 (standardwebhooks.com) has them: HMAC-SHA256, `v1`.

Signed is `id.timestamp.body`. While a secret is replaced both sign, and a receiver is content with either.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from decision.errors import InvalidInput

PREFIX = "whsec_"
ENTROPY_BYTES = 32
LEAST_BYTES, MOST_BYTES = 24, 64


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that signs, for good or `until` a time."""

    key: bytes = field(repr=False)
    until: datetime | None = None

    @property
    def text(self) -> str:
        """Return the secret as it is handed out."""
        return PREFIX + b64encode(self.key).decode()


def secret_of(text: str, *, until: datetime | None = None) -> Secret:
    """Return the secret in a text. Raises `InvalidInput`, which never holds the text."""
    try:
        key = b64decode(text.removeprefix(PREFIX), validate=True)
    except (Error, ValueError):
        key = b""
    if not text.startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise InvalidInput(
            f"Expected a secret of {LEAST_BYTES} to {MOST_BYTES} bytes in base64 after {PREFIX}, found another text.",
            hint="`encore webhooks add` and `rotate` make one.",
        )
    return Secret(key, until)


def valid(secrets: Iterable[Secret], at: datetime) -> tuple[Secret, ...]:
    """Return the secrets that sign at a time, in their order."""
    return tuple(secret for secret in secrets if secret.until is None or at < secret.until)


def headers(secrets: Iterable[Secret], *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers of a message that is sent at a time."""
    timestamp = str(int(at.timestamp()))
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    signatures = (b64encode(hmac.new(s.key, signed, hashlib.sha256).digest()).decode() for s in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
