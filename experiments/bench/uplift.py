"""`make bench-uplift`: which share of the headroom learners capture, Encore beside its peers.

A learner sees n uniformly randomised rows of a world whose truth is known, and gives every fresh customer the action
that it values most. 0 % is the best action for everybody, 100 % the oracle; below 0 it had better not learned.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from decision.errors import EncoreError
from experiments.bench import score_plots
from experiments.bench.encore_uplift import learned_values
from experiments.bench.kept import Kept, code_of, digest
from experiments.bench.peer_environment import ECONML, run_module
from experiments.bench.protocol import FloatArray, Trial, terms_of, world_at
from experiments.bench.scores import Line, Score, as_json, best_first, table
from experiments.bench.sweep import Found, Peer, Task, chosen, sweep

OWN_WORLD = Path(__file__).parent / "worlds" / "uplift.py"
CUSTOMERS = 200_000
CUSTOMERS_SEED = 12_345
OUT = Path("build/bench")

_PEERS = "experiments.bench.peers"
PEERS = (
    Peer("encore", "Encore", "experiments.bench.uplift:encore"),
    Peer("hurdle_linear_s", "hurdle, linear S-learner", f"{_PEERS}.hurdle:linear_s"),
    Peer("hurdle_linear_t", "hurdle, linear T-learner", f"{_PEERS}.hurdle:linear_t"),
    Peer("hurdle_lightgbm_s", "hurdle, LightGBM S-learner", f"{_PEERS}.hurdle:lightgbm_s"),
    Peer("hurdle_lightgbm_t", "hurdle, LightGBM T-learner", f"{_PEERS}.hurdle:lightgbm_t"),
    Peer("profit_linear_t", "linear T-learner on profit", f"{_PEERS}.hurdle:profit_t"),
    Peer("econml_linear_dr", "EconML LinearDRLearner", f"{_PEERS}.econ_ml:linear_dr", ECONML),
    Peer("causalml_s", "causalml S-learner", f"{_PEERS}.causal_ml:learned_s"),
    Peer("causalml_t", "causalml T-learner", f"{_PEERS}.causal_ml:learned_t"),
    Peer("causalml_x", "causalml X-learner", f"{_PEERS}.causal_ml:learned_x"),
    Peer("causalml_r", "causalml R-learner", f"{_PEERS}.causal_ml:learned_r"),
    Peer("causalml_dr", "causalml DR-learner", f"{_PEERS}.causal_ml:learned_dr"),
    Peer("causalml_t_defaults", "causalml T, LightGBM defaults", f"{_PEERS}.causal_ml:learned_t_defaults"),
    Peer("constant", "best constant as learned", f"{_PEERS}.constant:learned_values"),
)
CPU = "CPU s"


def encore(trial: Trial, x_new: FloatArray) -> FloatArray:
    """Return what Encore learns from a trial."""
    return learned_values(trial.x, trial.action, trial.bought, trial.order, x_new, terms=trial.terms, seed=trial.seed)


def captured(values: FloatArray, truth: FloatArray) -> float:
    """Return the share of headroom, in %, that acting on `values` captures under the `truth`, both [n, K]."""
    constant = float(truth.mean(axis=0).max())
    got = float(truth[np.arange(len(truth)), values.argmax(axis=1)].mean())
    return 100.0 * (got - constant) / (float(truth.max(axis=1).mean()) - constant)


class World:
    """A world from a file, and its fresh customers."""

    def __init__(self, path: Path, folder: Path) -> None:
        """Draw the customers; rows and customers are handed over in `folder`."""
        self.path, self.folder = path.resolve(), folder
        self.module = world_at(self.path)
        self.terms = terms_of(self.module)
        fresh = self.module.make(CUSTOMERS, CUSTOMERS_SEED)
        self.truth: FloatArray = fresh["mu"]
        self.customers = folder / "customers.npy"
        np.save(self.customers, np.asarray(fresh["X"], float))

    def run(self, peer: Peer, python: Path, *, rows: int, seed: int) -> dict[str, Any]:
        """Return what one learner captures after one trial. Raises `PeerUnavailable`."""
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            given, out = Path(scratch) / "rows.npz", Path(scratch) / "values.npz"
            logged, terms = self.module.make(rows, seed), self.terms
            np.savez(
                given,
                x=np.asarray(logged["X"], float),
                action=logged["t"],
                bought=np.asarray(logged["conv"], float),
                order=logged["order"],
                margin=terms.margin,
                discount=terms.discount,
                flat=terms.flat,
                contact=terms.contact,
                seed=seed,
            )
            arguments = [peer.entry, str(given), str(self.customers), str(out)]
            run_module(python, f"{_PEERS}.run_uplift", arguments)
            with np.load(out) as found:
                return {
                    "captured": captured(found["values"], self.truth),
                    "cpu_seconds": float(found["cpu_seconds"]),
                }


def tasks(world: World, peers: Sequence[Peer], *, rows: Sequence[int], seeds: int) -> list[Task]:
    """Return one task a peer, size and seed; the quick sizes first."""
    file = digest(world.path)

    def task(peer: Peer, n: int, seed: int) -> Task:
        code = code_of(peer.entry.partition(":")[0], runner="run_uplift")
        where = list(peer.environment.packages)
        key = {"world": file, "peer": peer.name, "code": code, "packages": where, "rows": n, "seed": seed}
        return Task(peer, _column(n), seed, key, lambda python: world.run(peer, python, rows=n, seed=seed))

    return [task(peer, n, seed) for n in rows for peer in peers for seed in range(seeds)]


def lines(peers: Sequence[Peer], found: Found, *, rows: Sequence[int]) -> list[Line]:
    """Return the table's lines, best at the largest size first."""
    columns = [_column(n) for n in rows]
    made = []
    for peer in peers:
        of_peer = {
            column: found.results[peer.name, column] for column in columns if (peer.name, column) in found.results
        }
        scores = {c: Score.of([r["captured"] for r in got], higher_is_better=True) for c, got in of_peer.items()}
        took = {CPU: f"{np.mean([r['cpu_seconds'] for r in of_peer[columns[-1]]]):.2f}"} if of_peer else {}
        missing = found.missing.get(peer.name, "")
        made.append(Line(peer.name, peer.label, scores, took, peer.environment.name, missing))
    return best_first(made, columns[-1], higher_is_better=True)


def _column(n: int) -> str:
    return f"{n:,} rows"


def _sizes(context: click.Context, parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise click.BadParameter("expected numbers with commas between them") from None


@click.command()
@click.option(
    "--world",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=OWN_WORLD,
    help="Python file of the world, which is run; without it a world of our own.",
)
@click.option("--seeds", type=click.IntRange(min=1), default=5, show_default=True, help="Trials of each size.")
@click.option("--rows", default="2000,10000,50000", show_default=True, callback=_sizes, help="Sizes of the trial.")
@click.option("--only", multiple=True, metavar="NAME", help=f"Run these alone: {', '.join(p.name for p in PEERS)}.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Fits at a time.")
@click.option("--fresh", is_flag=True, help="Compute everything anew.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=OUT,
    show_default=True,
    help="Folder for the JSON and the plot.",
)
def main(
    *, path: Path, seeds: int, rows: tuple[int, ...], only: tuple[str, ...], jobs: int, fresh: bool, out: Path
) -> None:
    """Compare uplift learners by the share of headroom they capture, in %."""
    try:
        peers = chosen(PEERS, only)
    except EncoreError as error:
        raise click.ClickException(str(error)) from None
    with tempfile.TemporaryDirectory(prefix="encore-bench-") as folder:
        todo = tasks(World(path, Path(folder)), peers, rows=rows, seeds=seeds)
        found = sweep(todo, Kept.of("uplift", fresh=fresh), jobs=jobs, tell=lambda text: click.echo(text, err=True))
    made, columns = lines(peers, found, rows=rows), [_column(n) for n in rows]
    click.echo(
        f"Share of the headroom captured, %: 0 is the best action for all, 100 the oracle; "
        f"{path.name}, seeds 0 to {seeds - 1}"
    )
    click.echo(table(made, columns=columns, figures=[CPU]))
    click.echo(
        f"mean ± standard deviation [worst seed]. CPU: to fit {rows[-1]:,} rows and value {CUSTOMERS:,} customers,"
    )
    click.echo("one thread. causalml and the hurdles run in Encore's own environment, at the versions of its lock.")
    out.mkdir(parents=True, exist_ok=True)
    name = f"uplift-{path.stem}-{digest(path)[:6]}"
    (out / f"{name}.json").write_bytes(as_json(made, benchmark="uplift", world=digest(path), seeds=seeds, rows=rows))
    score_plots.uplift(made, columns).savefig(out / f"{name}.png")
    click.echo(f"figures: {out / name}.json, plot: {out / name}.png")


if __name__ == "__main__":
    main()
