"""The same figures as independent implementations agree on, to 1e-6. More cases are read from ENCORE_AB_CASES."""

import os
from pathlib import Path

import pytest

from experiments.bench.ab_parity import Compared, compared

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "ab_parity" / "consensus.json"
FILES = [SHARED, *(Path(name) for name in os.environ.get("ENCORE_AB_CASES", "").split(":") if name)]
ROWS = [row for file in FILES if file.exists() for row in compared(file)]


@pytest.mark.parametrize("row", ROWS or [None], ids=lambda row: row.id if row else "none")
def test_figures_equal_those_of_peers(row: Compared | None) -> None:
    if row is None:
        pytest.skip(f"no cases in {SHARED}")
    if "not beside the cases" in row.reason:
        pytest.skip(row.reason)
    assert row.agrees, row
