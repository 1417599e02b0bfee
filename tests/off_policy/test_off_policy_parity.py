"""The same values as Open Bandit Pipeline 0.5.7 on its own cases and on real logs."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.off_policy import ESTIMATORS, Estimator, Rounds
from experiments.off_policy.dr import Dr
from experiments.off_policy.ips import Ips
from experiments.off_policy.shrinkage import clip, optimistic, subgaussian, switch

HERE = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "ope_parity"
CASES = sorted(HERE.glob("*.json"))

THEIR_NAMES: dict[str, Estimator] = {
    "ipw": ESTIMATORS["ips"],
    "snipw": ESTIMATORS["snips"],
    "dm": ESTIMATORS["dm"],
    "dr": ESTIMATORS["dr"],
    "sndr": ESTIMATORS["sndr"],
    "ipw_clip10": Ips(clip(10)),
    "dr_clip10": Dr(clip(10)),
    "switch-dr_0": Dr(switch(0)),
    "switch-dr_1": Dr(switch(1)),
    "switch-dr_5": Dr(switch(5)),
    "dros_0": Dr(optimistic(0)),
    "dros_1": Dr(optimistic(1)),
    "dros_100": Dr(optimistic(100)),
    "sgipw_0.05": Ips(subgaussian(0.05)),
    "sgdr_0.05": Dr(subgaussian(0.05)),
}


@pytest.mark.skipif(not CASES, reason=f"no parity cases in {HERE}")
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_values_equal_obp(case: Path) -> None:
    theirs = json.loads(case.read_text())["values"]
    with np.load(case.with_suffix(".npz")) as file:
        log = {name: file[name] for name in file.files}
    rounds = Rounds(log["action"], log["reward"], log["pscore"], log["pi_e"], log["q_hat"])
    assert set(THEIR_NAMES) <= set(theirs)
    for name, estimator in THEIR_NAMES.items():
        assert estimator.estimate(rounds).value == pytest.approx(theirs[name], rel=1e-9, abs=1e-15), name
