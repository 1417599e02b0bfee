"""`make bench-bandit`: the regret of bandit policies in % of what acting at random loses, Encore beside its peers.

Four scenarios of a world whose truth is known: outcomes come late (`delay`), decisions are made for a day at once
(`daily`), offers change half way (`shift`, delayed too), and a past trial comes first (`warm`, delayed too: everybody
may learn from it before the first decision).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from decision.errors import EncoreError
from experiments.bench import score_plots
from experiments.bench.kept import Kept, code_of, digest
from experiments.bench.peer_environment import BANDITS, run_module
from experiments.bench.scores import Line, Score, as_json, best_first, table
from experiments.bench.sweep import Found, Peer, Task, chosen, sweep

OWN_WORLD = Path(__file__).parent / "worlds" / "bandit.py"
SCENARIOS = ("delay", "daily", "shift", "warm")
HISTORY = 5_000
OUT = Path("build/bench")

_PEERS = "experiments.bench.peers"
_ENCORE = "experiments.bench.encore_bandit"
PEERS = (
    Peer("encore", "Encore", f"{_ENCORE}:EncorePolicy"),
    Peer("encore_epsilon_greedy", "Encore, ε-greedy 5 %", f"{_ENCORE}:epsilon_greedy"),
    Peer("encore_inverse_gap", "Encore, inverse gap, γ=100", f"{_ENCORE}:inverse_gap"),
    Peer("encore_linucb", "Encore, LinUCB, α=1", f"{_ENCORE}:linucb"),
    Peer("epsilon_greedy", "logistic, ε-greedy 5 %", f"{_PEERS}.epsilon_greedy:EpsilonGreedy"),
    Peer("vw_squarecb", "VW squarecb, coin, γ=100", f"{_PEERS}.vowpal:square_cb", BANDITS),
    Peer("vw_defaults", "VW cb_explore_adf, defaults", f"{_PEERS}.vowpal:defaults", BANDITS),
    Peer("mabwiser_lints", "MABWiser LinTS", f"{_PEERS}.mab_wiser:lin_ts", BANDITS),
    Peer("mabwiser_linucb", "MABWiser LinUCB", f"{_PEERS}.mab_wiser:lin_ucb", BANDITS),
    Peer("disjoint_lints", "disjoint LinTS, numpy", f"{_PEERS}.disjoint:lin_ts"),
    Peer("disjoint_linucb", "disjoint LinUCB, numpy", f"{_PEERS}.disjoint:lin_ucb"),
    Peer("best_constant", "best constant, from the truth", f"{_PEERS}.yardsticks:best_constant"),
    Peer("control", "always control", f"{_PEERS}.yardsticks:control"),
)
DECISION, OUTCOME = "µs/decision", "µs/outcome"


def run(world: Path, peer: Peer, python: Path, **asked: Any) -> dict[str, Any]:
    """Return what one policy did in one environment. Raises `PeerUnavailable`."""
    with tempfile.TemporaryDirectory(prefix="encore-bench-") as scratch:
        job, out = Path(scratch) / "job.json", Path(scratch) / "out.json"
        job.write_text(json.dumps({"world": str(world.resolve()), "policy": peer.entry, **asked}), encoding="utf-8")
        run_module(python, f"{_PEERS}.run_bandit", [str(job), str(out)])
        result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
        return result


def tasks(world: Path, peers: Sequence[Peer], *, scenarios: Sequence[str], decisions: int, seeds: int) -> list[Task]:
    """Return one task a peer, scenario and seed."""
    file = digest(world)

    def task(peer: Peer, scenario: str, seed: int) -> Task:
        asked = {"scenario": scenario, "decisions": decisions, "history": HISTORY, "seed": seed}
        code = code_of(peer.entry.partition(":")[0], runner="run_bandit")
        key = {"world": file, "peer": peer.name, "code": code, "packages": list(peer.environment.packages), **asked}
        return Task(peer, scenario, seed, key, lambda python: run(world, peer, python, **asked))

    return [task(peer, scenario, seed) for scenario in scenarios for peer in peers for seed in range(seeds)]


def lines(peers: Sequence[Peer], found: Found, *, scenarios: Sequence[str]) -> list[Line]:
    """Return the table's lines, the least regret in the first scenario first."""
    made = []
    for peer in peers:
        of_peer = {name: found.results[peer.name, name] for name in scenarios if (peer.name, name) in found.results}
        scores = {name: Score.of([r["pct"] for r in got], higher_is_better=False) for name, got in of_peer.items()}
        took = {}
        if scenarios[0] in of_peer:
            for figure, key in ((DECISION, "us_decision"), (OUTCOME, "us_outcome")):
                took[figure] = f"{np.mean([r[key] for r in of_peer[scenarios[0]]]):,.0f}"
        missing = found.missing.get(peer.name, "")
        made.append(Line(peer.name, peer.label, scores, took, peer.environment.name, missing))
    return best_first(made, scenarios[0], higher_is_better=False)


@click.command()
@click.option(
    "--world",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=OWN_WORLD,
    help="Python file of the world, which is run; without it a world of our own.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Environments.")
@click.option("--decisions", type=click.IntRange(min=1000), default=50_000, show_default=True, help="In each.")
@click.option(
    "--scenario", "scenarios", multiple=True, type=click.Choice(SCENARIOS), default=SCENARIOS, help="Run these alone."
)
@click.option("--only", multiple=True, metavar="NAME", help=f"Run these alone: {', '.join(p.name for p in PEERS)}.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs at a time.")
@click.option("--fresh", is_flag=True, help="Compute everything anew.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=OUT,
    show_default=True,
    help="Folder for the JSON and the plot.",
)
def main(
    *,
    path: Path,
    seeds: int,
    decisions: int,
    scenarios: tuple[str, ...],
    only: tuple[str, ...],
    jobs: int,
    fresh: bool,
    out: Path,
) -> None:
    """Compare bandit policies by their regret in % of uniform random's."""
    try:
        peers = chosen(PEERS, only)
    except EncoreError as error:
        raise click.ClickException(str(error)) from None
    todo = tasks(path, peers, scenarios=scenarios, decisions=decisions, seeds=seeds)
    found = sweep(todo, Kept.of("bandit", fresh=fresh), jobs=jobs, tell=lambda text: click.echo(text, err=True))
    made = lines(peers, found, scenarios=scenarios)
    click.echo(
        f"Regret in % of acting uniformly at random; {path.name}, {decisions:,} decisions, seeds 0 to {seeds - 1}"
    )
    click.echo(table(made, columns=scenarios, figures=[DECISION, OUTCOME]))
    click.echo(
        f"mean ± standard deviation [worst seed]. warm: after a past trial of {HISTORY:,} decisions, for everybody."
    )
    click.echo(f"CPU time in {scenarios[0]}, one thread.")
    out.mkdir(parents=True, exist_ok=True)
    name = f"bandit-{path.stem}-{digest(path)[:6]}"
    about: dict[str, Any] = {"world": digest(path), "seeds": seeds, "decisions": decisions, "scenarios": scenarios}
    (out / f"{name}.json").write_bytes(as_json(made, benchmark="bandit", **about, curves=_curves(found)))
    score_plots.bandit(made, scenarios).savefig(out / f"{name}.png")
    click.echo(f"figures: {out / name}.json, plot: {out / name}.png")


def _curves(found: Found) -> dict[str, dict[str, list[list[float]]]]:
    """Return the cumulative regret in ten steps, by peer and scenario, a list a seed."""
    curves: dict[str, dict[str, list[list[float]]]] = {}
    for (peer, scenario), results in found.results.items():
        curves.setdefault(peer, {})[scenario] = [result["curve"] for result in results]
    return curves


if __name__ == "__main__":
    main()
