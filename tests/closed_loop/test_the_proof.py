"""The proof: in shops whose truth is known, Encore earns more than any rule could, from its first promotion on.

Five shops by the command's own code, two at a time; what each policy is worth is its expectation under the truth.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from experiments.simulate import Plan
from experiments.simulate_report import interval, simulate

# Shops differ more from each other than days of one shop: five for half a month tell more than four for a month.
PLAN = Plan(seeds=(1, 2, 3, 4, 5), customers=15_000, trial_days=40, days=15)


class Proof(NamedTuple):
    """What `encore simulate` writes and says."""

    shops: Sequence[dict[str, Any]]
    lines: Sequence[str]
    folder: Path

    def gains(self, rival: str, when: str = "value") -> list[float]:
        return [shop[when]["Encore"] - shop[when][rival] for shop in self.shops]


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    out = tmp_path_factory.mktemp("simulation") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 2)
        patch.setenv("OPENBLAS_NUM_THREADS", "1")
        lines = list(simulate(PLAN, out=out, tell=lambda _: None))
    return Proof(json.loads((out / "results.json").read_text()), lines, out)


def test_encore_beats_the_best_constant_action_beyond_chance(proof: Proof) -> None:
    """The best constant is found in hindsight, under the truth: no rule of one action could have done better."""
    mean, low, _ = interval(proof.gains("best constant"))
    assert mean > 0.0
    assert low > 0.0


def test_encore_beats_business_as_usual_beyond_chance(proof: Proof) -> None:
    assert interval(proof.gains("business as usual"))[1] > 0.0


def test_encore_beats_both_in_the_last_third_of_the_days_as_well(proof: Proof) -> None:
    for rival in ("best constant", "business as usual"):
        assert interval(proof.gains(rival, "last_third"))[1] > 0.0


def test_encore_beats_leaving_everybody_alone_and_chance_in_every_shop(proof: Proof) -> None:
    assert min(*proof.gains("control"), *proof.gains("uniform")) > 0.0


def test_nothing_beats_the_oracle(proof: Proof) -> None:
    for shop in proof.shops:
        assert max(shop["value"], key=shop["value"].get) == "oracle"


def test_the_gain_pays_for_its_own_measurement(proof: Proof) -> None:
    """Everybody together, with holdout and random group, still earns more than business as usual alone."""
    together = [shop["programme_value"] - shop["value"]["business as usual"] for shop in proof.shops]
    assert sum(together) > 0.0


def test_the_report_is_written_for_every_shop(proof: Proof) -> None:
    assert [shop["seed"] for shop in proof.shops] == list(PLAN.seeds)
    assert proof.lines[0].startswith(f"simulated: {len(PLAN.seeds)} shops, ")
    assert (proof.folder / "regret.png").stat().st_size > 10_000
