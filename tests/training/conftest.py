from __future__ import annotations

import pytest

from decision.programme.model import Programme
from experiments.dataset import Dataset
from tests import trials


@pytest.fixture(scope="session")
def shop() -> Programme:
    """The programme of the trial shop: three actions, a store with a goal of its own."""
    return trials.programme()


@pytest.fixture(scope="session")
def past() -> trials.Past:
    """A trial in which who gets what matters much."""
    return trials.past(3_000)


@pytest.fixture(scope="session")
def data(past: trials.Past, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The same trial as training reads it."""
    return trials.dataset(tmp_path_factory.mktemp("trial") / "home", past.rows)
