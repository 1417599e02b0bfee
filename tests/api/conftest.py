from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from flask.testing import FlaskClient

import decision.api.decisions
import decision.api.events
from decision.wiring import Home, Shop
from tests.support import NOW, client_of


class Clock:
    """The time that the API sees."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for room in (decision.api.decisions, decision.api.events):
        monkeypatch.setattr(room, "utc_now", clock)
    return clock


@pytest.fixture
def shop(home: Home, clock: Clock) -> Iterator[Shop]:
    shop = Shop(home)
    yield shop
    shop.close()


@pytest.fixture
def client(shop: Shop) -> FlaskClient:
    return client_of(shop)
