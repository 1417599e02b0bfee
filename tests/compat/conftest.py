from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from decision.api.compat import webhooks
from decision.wiring import Home, Shop
from tests.compat.deliveries import SECRETS
from tests.support import NOW


class Clock:
    """The time that webhooks see."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(webhooks, "utc_now", clock)
    return clock


@pytest.fixture
def shop(home: Home, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    for platform, secret in SECRETS.items():
        monkeypatch.setenv(f"ENCORE_{platform.upper()}_SECRET", secret)
    text = home.programme_path.read_text().replace("[stores.online]", '[stores.online]\ndomain = "encore.example"')
    home.programme_path.write_text(text)
    shop = Shop(home)
    yield shop
    shop.close()
