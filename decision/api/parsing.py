"""From bytes to validated records; every mistake says where it is and what was expected."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec
from flask import Request, abort

from decision.api.mistakes import mistake_in
from decision.api.problem import BadJson
from decision.errors import InvalidInput

T = TypeVar("T")
BATCH_LIMIT = 1_000
# Bytes that are no UTF-8 inside a text come as Python's own error.
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], *, root: str = "$") -> T:
    """Return the body as the decoder's type; `root` is where in the request it stands.

    Raises
    ------
    BadJson : the body is not JSON.
    InvalidInput : a field is unknown, missing, or of the wrong type; `pointer` says which.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        check_json(body)
        raise mistake_in(body, str(error), shape=decoder.type, root=root) from None
    except _NOT_JSON as error:
        raise _no_json(body, error) from None


def check_json(body: bytes | msgspec.Raw) -> None:
    """Raise `BadJson` when a body is not even JSON: a shape is read as it comes, and may be found wrong before."""
    try:
        msgspec.json.decode(body)
    except _NOT_JSON as error:
        raise _no_json(body, error) from None


def _no_json(body: bytes | msgspec.Raw, error: Exception) -> BadJson:
    found = f"something else: {error}" if bytes(body).strip() else "an empty body"
    return BadJson(f"Expected JSON, found {found}.", hint="Send UTF-8 JSON; /docs has examples.")


def body_of(request: Request, *, limit: int, also: str = "") -> bytes:
    """Return the body of a request of at most `limit` bytes; answers 413 or 415 otherwise.

    It is JSON, or what `also` names.
    """
    if request.mimetype not in ("application/json", "", also):
        abort(415)
    # One more than is taken: a body that is sent in chunks does not say its length, and its rest would be cut off.
    request.max_content_length = limit + 1
    body = request.get_data(cache=False) if (request.content_length or 0) <= limit else b""
    if len(body) > limit or (request.content_length or 0) > limit:
        abort(413, f"Expected a body of at most {limit:,} bytes, found a larger one.")
    return body


def check_batch(size: int, *, what: str) -> None:
    """Raise `InvalidInput` for a batch of more than a thousand; `what` says of what."""
    if size > BATCH_LIMIT:
        raise InvalidInput(
            f"Expected at most {BATCH_LIMIT} {what} at $.batch, found {size}.",
            hint="Send several batches.",
            pointer="$.batch",
        )


def idempotency_key(header: str | None) -> str | None:
    """Return the key of an Idempotency-Key header, quoted as in the draft or bare as commonly sent.

    Raises
    ------
    InvalidInput : it is empty or longer than 200 characters.
    """
    if header is None:
        return None
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 0 < len(key) <= 200:
        raise InvalidInput(
            f"Expected an Idempotency-Key of 1 to 200 characters, found {len(key)}.", pointer="Idempotency-Key"
        )
    return key


def id_from_key(key: str) -> str:
    """Return the decision id that stands for an idempotency key."""
    return "key-" + hashlib.sha256(key.encode()).hexdigest()[:40]
