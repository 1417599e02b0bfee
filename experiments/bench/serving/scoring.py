"""Servers that only score beside the whole durable decision: the same uplift model, one row a request."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from decision.errors import EncoreError
from decision.flow.promotion import champion_version
from decision.ledger.sqlite import SqliteLedger
from decision.stages.context import Encoder
from decision.wiring import Home
from experiments.bench.peer_environment import PRODUCT, Environment, PeerUnavailable, run_module
from experiments.bench.serving.bench import Bench, checked
from experiments.bench.serving.measure import Meter
from experiments.bench.serving.report import Bar, Claim, Figures, Findings, Line, ratios
from experiments.bench.serving.servers import Launch, encore, module, running
from experiments.bench.serving.world import COLUMNS, post, questions

SECTION = "beside servers that only score"
ROWS = 256
FIRST_SECONDS = 0.5
ROOM = "experiments.bench.serving.peers"
# Its workers end at once with uvloop 0.22 and later, which make no event loop unasked.
MLSERVER = Environment("mlserver", ("mlserver==1.7.1", "numpy==2.4.6", "uvloop==0.21.0"))
BENTO = Environment("bentoml", ("bentoml==1.4.40", "numpy==2.4.6"))


@dataclass(frozen=True, slots=True)
class Scoring:
    """A server that only scores: how it is prepared and started, where it is asked, and how a row is wrapped.

    `at_least` is how many times its answers a second are asked of the decision, `p99_at_most` the share of its p99.
    """

    name: str
    environment: Environment
    launch: Callable[[str, Path, Path], Launch]
    address: str
    wrapped: Callable[[list[float]], dict[str, object]]
    at_least: float
    p99_at_most: float | None = None


def scoring(bench: Bench, *, install: bool) -> Findings:
    """Return what the decision and those servers do that run here; `install` fetches the packages of the others."""
    skipped: list[str] = []
    with bench.home() as (home, key), tempfile.TemporaryDirectory(dir=bench.folder) as temporary, ExitStack() as up:
        arrays = arrays_of(home)
        connections = bench.settings.connections
        ours = Meter(
            up.enter_context(running(encore(home, bench.size), logs=bench.folder)),
            questions(key),
            connections=connections,
        )
        meters: dict[str, Meter] = {}
        for peer in PEERS:
            bench.tell(f"  starting {peer.name}")
            try:
                python = _python(peer.environment, install=install, tell=bench.tell)
                launch = peer.launch(str(python), arrays, Path(temporary))
                server = up.enter_context(running(launch, logs=bench.folder))
                requests = [post(peer.address, peer.wrapped(row)) for row in contexts()]
                meter = Meter(server, requests, connections=connections, receipts=False)
                # Some say that they are ready and then end.
                meter.closed(FIRST_SECONDS)
            except EncoreError as reason:
                skipped.append(f"{peer.name}. {str(reason).splitlines()[0]}")
                continue
            meters[peer.name] = meter
        rounds = bench.rounds({"decision": ours.closed, **{name: meter.closed for name, meter in meters.items()}})
        found = checked([ours], home=home, beside=list(meters.values()))
    return msgspec.structs.replace(
        found,
        lines=tuple(Line.of(SECTION, name, figures) for name, figures in rounds.items()),
        claims=tuple(claim for peer in PEERS if peer.name in meters for claim in _claims(peer, rounds)),
        skipped=tuple(skipped),
    )


def _python(environment: Environment, *, install: bool, tell: Callable[[str], None]) -> Path:
    if not install and not environment.installed:
        raise PeerUnavailable("It is not installed: --peers installs it into an environment of its own.")
    return environment.python(tell)


def _claims(peer: Scoring, rounds: Mapping[str, Sequence[Figures]]) -> list[Claim]:
    ours, theirs = rounds["decision"], rounds[peer.name]
    p99 = None if peer.p99_at_most is None else Bar(at_most=peer.p99_at_most)
    return [
        Claim.of(
            SECTION,
            f"decision / {peer.name}, answers/s",
            ratios(ours, theirs, "per_second"),
            bar=Bar(at_least=peer.at_least),
        ),
        Claim.of(SECTION, f"decision / {peer.name}, p99", ratios(ours, theirs, "p99_ms"), bar=p99),
    ]


def arrays_of(home: Home) -> Path:
    """Return the file with the arrays of the bundle that serves."""
    with closing(SqliteLedger(home.ledger_path)) as ledger:
        version = champion_version(ledger)
    (found,) = [path for path in home.root.rglob("*.npz") if version and version in str(path)]
    return found


def contexts() -> list[list[float]]:
    """Return contexts [D] as the model sees them: the encoding is done, which is more than the decision is spared."""
    rng = np.random.default_rng(ROWS)
    rows: list[list[float]] = rng.standard_normal((ROWS, Encoder(COLUMNS).width)).round(4).tolist()
    return rows


def _mlflow(workers: int) -> Callable[[str, Path, Path], Launch]:
    def launch(python: str, arrays: Path, folder: Path) -> Launch:
        model = folder / "mlflow"
        if not model.exists():
            run_module(Path(python), f"{ROOM}.mlflow_model", [str(arrays), str(model)])
        size = ("--workers", str(workers))
        serve = ("models", "serve", "-m", str(model), "--env-manager", "local", *size)
        return Launch(f"mlflow-{workers}", module("mlflow", *serve, python=python), "/ping", _beside(python))

    return launch


def _mlserver(python: str, arrays: Path, folder: Path) -> Launch:
    model = folder / "mlserver"
    model.mkdir()
    described = {
        "name": "uplift",
        "implementation": f"{ROOM}.mlserver_model.Runtime",
        "parameters": {"uri": str(arrays)},
    }
    (model / "model-settings.json").write_text(json.dumps(described), encoding="utf-8")
    # It takes its port from its settings alone.
    start = "import os, sys; sys.argv = ['mlserver', 'start', sys.argv[1]]; from mlserver.cli import main; main()"
    environment = {
        "MLSERVER_HTTP_PORT": "{port}",
        "MLSERVER_GRPC_PORT": "{port+1}",
        "MLSERVER_METRICS_PORT": "{port+2}",
        "MLSERVER_PARALLEL_WORKERS": "2",
        "MLSERVER_HOST": "127.0.0.1",
        **_beside(python),
    }
    return Launch("mlserver", (python, "-c", start, str(model)), "/v2/health/ready", environment)


def _bento(python: str, arrays: Path, folder: Path) -> Launch:
    serve = ("serve", f"{ROOM}.bento_service:Service", "--host", "127.0.0.1")
    environment = {
        "SCORER_ARRAYS": str(arrays),
        **_beside(python),
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bento"),
    }
    return Launch("bentoml", module("bentoml", *serve, python=python), "/readyz", environment)


def _beside(python: str) -> dict[str, str]:
    """Return the environment in which commands of an interpreter's own are found, and modules of the checkout."""
    return {"PATH": f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', '')}", "PYTHONPATH": "."}


def _tensor(row: list[float]) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [1, len(row)], "datatype": "FP64", "data": row}]}


PEERS = (
    *(
        Scoring(
            f"mlflow, {workers} worker{'s' * (workers > 1)}",
            PRODUCT,
            _mlflow(workers),
            "/invocations",
            lambda row: {"inputs": [row]},
            at_least=20.0,
            p99_at_most=0.1,
        )
        for workers in (1, 2)
    ),
    Scoring("MLServer, 2 workers", MLSERVER, _mlserver, "/v2/models/uplift/infer", _tensor, at_least=4.0),
    Scoring("BentoML, 2 workers", BENTO, _bento, "/score", lambda row: {"rows": [row]}, at_least=4.0),
)
