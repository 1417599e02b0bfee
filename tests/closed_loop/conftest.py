from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the proof last: it takes a minute, and whoever waits for tests wants the fast ones first."""
    items.sort(key=lambda item: item.path.name == "test_the_proof.py")
