from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the proof last: it takes minutes, and whoever waits for tests wants the fast ones first.

    Where processes share the tests it comes first, or the others would wait for the one that has it.
    """
    shared = "PYTEST_XDIST_WORKER" in os.environ
    items.sort(key=lambda item: (item.path.name == "test_the_proof.py") is not shared)
