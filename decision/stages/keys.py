"""API keys: `encore_<id>_<secret>`. The secret is shown once; what is kept is its hash."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from decision.errors import InvalidInput

ID_BYTES, SECRET_BYTES = 5, 32
ENTROPY_BYTES = ID_BYTES + SECRET_BYTES
NAME_LENGTH = 100
_KEY = re.compile(r"encore_([a-z2-7]{8})_([A-Za-z0-9_-]{43})", re.ASCII)


class Role(StrEnum):
    """What a key may do: a checkout decides and tells, others read, admin does all.

    An analyst only looks; a marketer is who changes the programme and the champion. An operator watches: her key lies
    with the monitoring and opens nothing about a customer.
    """

    CHECKOUT = "checkout"
    ANALYST = "analyst"
    MARKETER = "marketer"
    ADMIN = "admin"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; `sha256` is that of its secret, in hexadecimal."""

    key_id: str
    name: str
    role: Role
    sha256: str
    created_at: datetime
    revoked_at: datetime | None = None


def issue(name: str, *, role: Role, entropy: bytes, now: datetime) -> tuple[ApiKey, str]:
    """Return a new key to keep, and its text to hand out, made of `ENTROPY_BYTES` fresh random bytes.

    Raises
    ------
    InvalidInput : the name is empty, too long, or can't be printed on a line.
    """
    if not 0 < len(name) <= NAME_LENGTH or not name.isprintable() or name != name.strip():
        raise InvalidInput(
            f"Expected a name of 1 to {NAME_LENGTH} printable characters, found {name[:NAME_LENGTH]!r}.",
            hint="Name the system or the person that will use the key.",
        )
    # Base 32 for the id: it is typed on a command line, where a leading dash would make it an option.
    key_id = b32encode(entropy[:ID_BYTES]).decode().lower()
    secret = urlsafe_b64encode(entropy[ID_BYTES:ENTROPY_BYTES]).decode().rstrip("=")
    return ApiKey(key_id, name, role, _hash(secret), now), f"encore_{key_id}_{secret}"


def _hash(secret: str) -> str:
    # Slow hashes protect what people choose. Nobody guesses 256 random bits, however fast the hash.
    return hashlib.sha256(secret.encode()).hexdigest()


class Keyring:
    """The keys that are valid now."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        """Take all keys; those that were revoked open nothing."""
        self._keys = {key.key_id: key for key in keys if key.revoked_at is None}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def find(self, text: str) -> ApiKey | None:
        """Return the valid key whose text this is, or None."""
        found = _KEY.fullmatch(text)
        if found is None:
            return None
        key = self._keys.get(found[1])
        return key if key is not None and hmac.compare_digest(key.sha256, _hash(found[2])) else None
