"""API keys: what is handed out, what is kept, and what opens."""

import hashlib
import re
from dataclasses import replace

import pytest

from decision.errors import InvalidInput
from decision.stages.keys import ENTROPY_BYTES, ApiKey, Keyring, Role, issue
from tests.support import NOW

ENTROPY = bytes(range(ENTROPY_BYTES))


def issued(seed: int = 0) -> tuple[ApiKey, str]:
    return issue("till", role=Role.CHECKOUT, entropy=bytes((n + seed) % 256 for n in ENTROPY), now=NOW)


def test_a_key_is_its_id_and_256_bits_of_secret_of_which_the_hash_is_kept() -> None:
    key, text = issued()
    assert re.fullmatch(r"encore_[a-z2-7]{8}_[A-Za-z0-9_-]{43}", text)
    secret = text[16:]
    assert key == ApiKey(text[7:15], "till", Role.CHECKOUT, hashlib.sha256(secret.encode()).hexdigest(), NOW)
    assert secret not in repr(key)


def test_every_bit_of_the_entropy_counts() -> None:
    texts = set()
    for bit in range(8 * ENTROPY_BYTES):
        flipped = bytearray(ENTROPY)
        flipped[bit // 8] ^= 1 << bit % 8
        texts.add(issue("till", role=Role.ADMIN, entropy=bytes(flipped), now=NOW)[1])
    assert len(texts) == 8 * ENTROPY_BYTES


def test_only_the_whole_text_of_a_valid_key_opens() -> None:
    (one, text), (other, other_text) = issued(), issued(100)
    ring = Keyring([one, other])
    assert ring.find(text) == one
    assert ring.find(other_text) == other
    swapped = text[:16] + other_text[16:]
    for wrong in ("", text[:-1], text + "A", text.upper(), f" {text}", f"{text}\n", text[7:], swapped, "ä" * len(text)):
        assert ring.find(wrong) is None, wrong
    for place in range(16, len(text)):
        assert ring.find(text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]) is None


def test_the_hash_itself_opens_nothing() -> None:
    """Who reads the ledger has no key."""
    key, text = issued()
    assert Keyring([key]).find(text[:16] + key.sha256[:43]) is None


def test_a_revoked_key_opens_nothing() -> None:
    key, text = issued()
    ring = Keyring([replace(key, revoked_at=NOW)])
    assert (bool(Keyring([key])), bool(ring), bool(Keyring())) == (True, False, False)
    assert ring.find(text) is None


@pytest.mark.parametrize("name", ["", " till", "till\n", "a\nb", "a\tb", "x" * 101, "\x1b[2J"])
def test_a_name_that_would_spoil_a_line_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="Expected a name of 1 to 100 printable characters"):
        issue(name, role=Role.ADMIN, entropy=ENTROPY, now=NOW)
