"""An event as the shop sends it: what the service reads and the Python client writes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event as the shop sends it, in the names of Segment's e-commerce specification.

    `message_id` makes a repeat harmless; without one, a repeat is known by its content.
    """

    event: str
    customer_id: str
    timestamp: datetime
    properties: dict[str, Any] = {}
    message_id: str | None = None
