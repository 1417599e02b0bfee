"""The same values as Open Bandit Pipeline 0.5.7 on its own cases and on real logs: everything that a case holds.

More cases are read from the folder in ENCORE_OPE_CASES.
"""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.bench.off_policy_cases import BOOTSTRAP_SEED, TUNED, Case, found_for
from experiments.off_policy import Slope

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "ope_parity"
FOLDERS = [SHARED, *(Path(name) for name in os.environ.get("ENCORE_OPE_CASES", "").split(":") if name)]
CASES = [path for folder in FOLDERS for path in sorted(folder.glob("*.json"))]
CLOSE = {"rel": 1e-9, "abs": 1e-15}


@pytest.fixture(scope="module", params=CASES, ids=lambda path: path.stem)
def case(request: pytest.FixtureRequest) -> Case:
    if not CASES:
        pytest.skip(f"no parity cases in {SHARED}")
    return Case.read(request.param)


def test_values_equal_obp(case: Case) -> None:
    assert set(case.expected["values"]) <= set(found_for(case.expected["values"]))
    for name, value in case.expected["values"].items():
        found = found_for([name])[name].estimate(case.rounds).value
        assert found == pytest.approx(value, **CLOSE), name


def test_the_hyperparameter_chosen_equals_obps(case: Case) -> None:
    for name, chosen in case.expected["tuned_lambda"].items():
        slope = TUNED[name]
        assert isinstance(slope, Slope)
        assert slope.choose(slope.sums(case.rounds)) == float(chosen), name


def test_bootstrap_intervals_equal_obps(case: Case) -> None:
    for name, ends in case.expected["ci"].items():
        assert case.interval(name) == pytest.approx(tuple(ends), **CLOSE), name


def test_diagnostics_equal_obps(case: Case) -> None:
    weight = case.rounds.weight
    found = {
        "iw_mean": weight.mean(),
        "iw_max": weight.max(),
        "ess": found_for(["ipw"])["ipw"].estimate(case.rounds).effective_sample_size,
        "pscore_min": case.rounds.propensity.min(),
    }
    assert found == pytest.approx(case.expected["diagnostics"], **CLOSE)


def test_a_case_says_how_it_was_made(case: Case) -> None:
    assert case.expected["bootstrap"]["seed"] == BOOTSTRAP_SEED
    assert math.isfinite(np.asarray(list(case.expected["values"].values())).sum())
    assert json.dumps(case.expected["obp"]) == '"0.5.7"'
