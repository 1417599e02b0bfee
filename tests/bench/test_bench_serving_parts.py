import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from decision.serving import champion_from
from decision.wiring import Home
from experiments.bench.peer_environment import CHECKOUT
from experiments.bench.serving.fill import customer_id, fill
from experiments.bench.serving.peers.scorer import Scorer
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
