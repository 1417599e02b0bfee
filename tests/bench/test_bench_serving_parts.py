import dataclasses
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from decision.serving import champion_from
from decision.wiring import Home
from experiments.bench.peer_environment import CHECKOUT
from experiments.bench.serving import footprint
from experiments.bench.serving.bench import Bench, together
from experiments.bench.serving.fill import customer_id, fill
from experiments.bench.serving.peers.scorer import Scorer
from experiments.bench.serving.report import Findings, Settings
from experiments.bench.serving.scoring import arrays_of, contexts
from experiments.bench.serving.world import write_home
from tests.support import decided


def test_servers_that_only_score_have_the_uplift_model_that_decides(tmp_path: Path) -> None:
    home = write_home(tmp_path)
    arrays = arrays_of(home)
    (version,) = [path.name for path in arrays.parents if (home.root / "bundles" / path.name).exists()][:1]
    champion = champion_from(home.bundles.read(version))
    rows = np.array(contexts()[:5])
    for x, scores in zip(rows, Scorer(arrays).score(rows), strict=True):
        foreseen = champion.model.predict(x, np.arange(len(champion.index)))
        for ours, theirs in zip((foreseen.visit, foreseen.repurchase, foreseen.basket), scores, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_a_filled_ledger_is_one_that_the_service_reads(home: Home) -> None:
    with closing(home.ledger()):
        pass
    fill(home, customers=3, past=20, like=decided(), tell=print)
    with closing(home.ledger()) as ledger:
        assert ledger.counts()["decisions"] == 20
        assert ledger.counts()["unfinished"] == 0
        customers = [ledger.customer(customer_id(number)) for number in range(3)]
        assert [customer.orders for customer in customers] == [3, 3, 3]
        assert sum(len(customer.contacts) for customer in customers) == 20
        assert ledger.decision(f"{19:032x}") is not None


def test_a_profile_accounts_for_all_of_a_decision() -> None:
    command = [sys.executable, "-m", "experiments.bench.serving.profile", "--decisions", "20"]
    done = subprocess.run(command, cwd=CHECKOUT, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *stages, whole = done.stdout.splitlines()
    assert not [line for line in stages if line.startswith("Not found")]
    micros = [float(line[34:].split()[0]) for line in (*stages, whole)]
    assert all(each > 0 for each in micros)
    assert sum(micros[:-1]) - micros[-1] < 0.01 * micros[-1]


def check_without_cel(home: Home) -> subprocess.CompletedProcess[str]:
    """Run `encore check` where the package of the extra `rules` can't be imported."""
    code = "import sys; sys.modules['cel'] = None; from decision.cli import main; main()"
    command = [sys.executable, "-c", code, "--home", str(home.root), "check"]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def test_the_plain_install_is_measured_with_a_programme_that_it_can_serve(tmp_path: Path) -> None:
    plain, whole = (write_home(tmp_path / name, rules=name == "whole") for name in ("plain", "whole"))
    assert check_without_cel(plain).returncode == 0, check_without_cel(plain).stderr
    refused = check_without_cel(whole)
    assert refused.returncode != 0
    assert "encore[rules]" in refused.stdout + refused.stderr
    assert plain.programme() == dataclasses.replace(whole.programme(), **same_but_rules(plain, whole))


def same_but_rules(plain: Home, whole: Home) -> dict[str, object]:
    eligibility = dataclasses.replace(whole.programme().eligibility, rules=())
    return {"eligibility": eligibility, "digest": plain.programme().digest}


def test_the_footprint_has_rows_for_the_plain_install_and_for_the_one_with_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = Path(sys.executable)
    plain = footprint.Installed("plain", python, rules=False, megabytes=1.0)
    whole = footprint.Installed("whole", python, rules=True, asked=False, megabytes=1_000.0)
    monkeypatch.setattr(footprint, "_online_only", lambda *_: [plain, whole])
    monkeypatch.setattr(footprint, "STARTS", 1)
    bench = Bench(Settings(0.2, 1, 2, 1, 2, 10.0), tmp_path, print)
    found = footprint.footprint(bench, install=True)
    held = {claim.name: claim.held for claim in found.claims if "memory" not in claim.name}
    assert held["plain, size"] is True
    assert held["plain, start until ready"] is not None
    assert (held["whole, size"], held["whole, start until ready"]) == (None, None)
    assert (found.errors, found.lost) == ({}, 0)
    assert found.acknowledged > 0


def test_what_went_wrong_anywhere_is_told_of_the_whole() -> None:
    all_of_it = together([Findings(errors={"a": 1}, acknowledged=3, lost=1), Findings(errors={"a": 1, "b": 2})])
    assert (all_of_it.errors, all_of_it.acknowledged, all_of_it.lost) == ({"a": 2, "b": 2}, 3, 1)
