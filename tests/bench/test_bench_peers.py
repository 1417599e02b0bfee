import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from experiments.bench import bandit, peer_environment, uplift
from experiments.bench.kept import Kept
from experiments.bench.peer_environment import PRODUCT, Environment, PeerUnavailable, run_module
from experiments.bench.peers.run_bandit import run
from experiments.bench.protocol import Trial, entry, terms_of
from experiments.bench.scores import Line, Score, best_first, table
from experiments.bench.sweep import Peer, Task, sweep
from experiments.bench.worlds import bandit as bandit_world
from experiments.bench.worlds import uplift as uplift_world

HERE = [peer for peer in uplift.PEERS if peer.environment is PRODUCT and "causalml" not in peer.name]
POLICIES = [peer for peer in bandit.PEERS if peer.environment is PRODUCT]


@pytest.fixture(scope="module")
def trial() -> Trial:
    drawn = uplift_world.make(3_000, 4)
    return Trial(drawn["X"], drawn["t"], drawn["conv"].astype(float), drawn["order"], terms_of(uplift_world), 0)


@pytest.mark.parametrize("peer", HERE, ids=lambda peer: peer.name)
def test_an_uplift_learner_values_every_action_for_customers_it_has_not_seen(peer: Peer, trial: Trial) -> None:
    values = entry(peer.entry)(trial, uplift_world.make(50, 5)["X"])
    assert values.shape == (50, len(uplift_world.ARMS))
    assert np.isfinite(values).all()


@pytest.mark.parametrize("peer", POLICIES, ids=lambda peer: peer.name)
def test_a_bandit_policy_learns_from_a_past_trial_and_gets_through_a_world(peer: Peer) -> None:
    result = run(bandit_world, peer.entry, seed=1, decisions=1_000, scenario="warm", history=600)
    assert 0.0 < result["pct"] < 200.0
    assert result["us_decision"] >= 0.0


def test_the_oracle_captures_all_headroom_and_the_best_constant_none() -> None:
    truth = uplift_world.make(1_000, 6)["mu"]
    assert uplift.captured(truth, truth) == 100.0
    assert uplift.captured(np.tile(truth.mean(axis=0), (1_000, 1)), truth) == pytest.approx(0.0, abs=1e-9)


def _task(peer: Peer, seed: int, compute: Any) -> Task:
    return Task(peer, "column", seed, {"peer": peer.name, "seed": seed}, compute)


def test_what_was_computed_is_kept_and_who_cannot_run_is_left_out(tmp_path: Path) -> None:
    well, ill = Peer("well", "Well", "a:b"), Peer("ill", "Ill", "a:b")
    calls: list[int] = []

    def works(python: Path) -> dict[str, Any]:
        calls.append(1)
        return {"pct": 1.0}

    def fails(python: Path) -> dict[str, Any]:
        raise PeerUnavailable("Expected to run, it failed.")

    todo = [_task(well, seed, works) for seed in (1, 0)] + [_task(ill, 0, fails)]
    for fresh, computed in ((False, 2), (False, 2), (True, 4)):
        found = sweep(todo, Kept(tmp_path, fresh), jobs=1, tell=print)
        assert found.results == {("well", "column"): [{"pct": 1.0}, {"pct": 1.0}]}
        assert found.missing == {"ill": "Expected to run, it failed."}
        assert len(calls) == computed


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def refused(command: list[str], purpose: str) -> None:
        raise PeerUnavailable(f"Expected to {purpose}, it failed: no network")

    monkeypatch.setattr(peer_environment, "_called", refused)
    told: list[str] = []
    with pytest.raises(PeerUnavailable, match="no network"):
        Environment("some", ("thing==1",)).python(told.append)
    assert "thing==1" in told[0]


def test_a_peer_that_fails_is_quoted() -> None:
    with pytest.raises(PeerUnavailable, match=r"No module named experiments\.bench\.nobody"):
        run_module(PRODUCT.python(print), "experiments.bench.nobody", [])


def test_a_score_knows_its_worst_seed_and_its_interval() -> None:
    score = Score.of([1.0, 2.0, 6.0], higher_is_better=False)
    assert (score.mean, score.worst) == (3.0, 6.0)
    assert score.sd == pytest.approx(7.0**0.5)
    assert score.low is not None
    # Student's quantile at 2 degrees of freedom.
    assert score.mean - score.low == pytest.approx(4.3026527 * (7.0 / 3.0) ** 0.5)
    alone = Score.of([2.0], higher_is_better=True)
    assert (alone.sd, alone.low, alone.worst) == (None, None, 2.0)


def test_a_table_has_a_row_each_best_first_and_tells_who_is_left_out() -> None:
    def line(name: str, seeds: list[float], missing: str = "") -> Line:
        scores = {} if missing else {"delay": Score.of(seeds, higher_is_better=False)}
        return Line(name, name.title(), scores, {"µs": "12"}, "here", missing)

    made = [line("worse", [40.0, 44.0]), line("gone", [], "No such package."), line("better", [20.0, 30.0])]
    text = table(best_first(made, "delay", higher_is_better=False), columns=["delay", "daily"], figures=["µs"])
    head, first, second, last = text.splitlines()
    assert head.split() == ["delay", "daily", "µs", "ran", "in"]
    assert first.split() == ["Better", "25.0", "±", "7.1", "[30.0]", "–", "12", "here"]
    assert second.startswith("Worse")
    assert last == "Gone: left out. No such package."


@pytest.mark.parametrize(
    ("main", "options", "header"),
    [
        (uplift.main, ["--rows", "2000", "--only", "constant"], "Share of the headroom"),
        (bandit.main, ["--decisions", "1000", "--scenario", "daily", "--only", "control"], "Regret in %"),
    ],
)
def test_a_run_prints_one_table_and_leaves_figures_and_a_plot(
    main: Any, options: list[str], header: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(uplift, "CUSTOMERS", 5_000)
    done = CliRunner().invoke(main, [*options, "--seeds", "2", "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, (done.output, done.exception)
    assert header in done.output
    figures, plot = sorted((tmp_path / "out").iterdir())
    assert plot.suffix == ".png"
    (line,) = json.loads(figures.read_text())["lines"]
    assert all(len(score["seeds"]) == 2 for score in line["scores"].values())


def test_a_name_that_nobody_has_is_refused() -> None:
    done = CliRunner().invoke(uplift.main, ["--only", "nobody"])
    assert done.exit_code == 1
    assert "found nobody" in done.output
