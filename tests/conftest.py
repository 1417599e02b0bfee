from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from decision.bundle.store import Bundle, BundleStore
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from decision.watching.places import folder_of
from decision.wiring import Home
from tests import support

# `thorough` is for a night; failures of either can be replayed from what is printed.
settings.register_profile("quick", max_examples=50, deadline=None, database=None, derandomize=True)
settings.register_profile("thorough", max_examples=2_000, deadline=None, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
# A machine that runs tests may be too busy for the deadline of a till; those who test it set their own.
os.environ.setdefault("ENCORE_DEADLINE_MS", "20000")


# Files that take half a minute or more, the longest first.
LONG = (
    "test_the_proof.py",
    "test_soak.py",
    "test_learner_contract.py",
    "test_demo_run.py",
    "test_train_evaluate_promote.py",
    "test_real_server.py",
    "test_fuzz.py",
    "test_propensities_in_the_loop.py",
    "test_challenger.py",
    "test_import_hillstrom_in_full.py",
    "test_learn.py",
    "test_bench_serving.py",
    "test_webhooks.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the long files last: whoever waits for tests wants the fast ones first.

    Where processes share the tests they come first, or the others would wait for the one that has the last of them.
    """
    shared = "PYTEST_XDIST_WORKER" in os.environ
    places = {name: -n if shared else n for n, name in enumerate(reversed(LONG), 1)}
    items.sort(key=lambda item: places.get(item.path.name, 0))


@pytest.fixture(autouse=True)
def _no_shop_from_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """`encore serve` hands its home down in the environment: one test's is no other's."""
    monkeypatch.delenv("ENCORE_HOME", raising=False)


@pytest.fixture
def programme() -> Programme:
    return support.programme()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A shop's folder with a programme, before anything has happened."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    home.programme_path.write_text(support.PROGRAMME)
    yield home
    # A server that is killed leaves what it counted in memory.
    shutil.rmtree(folder_of(home.root), ignore_errors=True)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    ledger = SqliteLedger.create(tmp_path / "ledger.db")
    yield ledger
    ledger.close()


@pytest.fixture
def bundles(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "bundles")


@pytest.fixture
def bundle(bundles: BundleStore) -> Bundle:
    """A Thompson bundle with linear heads over the test programme's actions."""
    return support.write_bundle(bundles)
