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

    `questions` are what it is asked. `at_least` is how many times its answers a second are asked of the decision,
    `p99_at_most` the share of its p99.
    """

    name: str
    environment: Environment
    launch: Callable[[str, Path, Path], Launch]
    address: str
    questions: Callable[[], list[dict[str, object]]]
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
                requests = [post(peer.address, question) for question in peer.questions()]
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


def named_contexts() -> list[dict[str, float | str]]:
    """Return contexts as the ledger keeps them, by the names of facts."""
    rng = np.random.default_rng(ROWS)
    return [
        {
            column.name: str(rng.choice(column.levels)) if column.levels else round(float(rng.gamma(2.0, 10.0)), 2)
            for column in COLUMNS
        }
        for _ in range(ROWS)
    ]


def _mlflow(workers: int) -> Callable[[str, Path, Path], Launch]:
    def launch(python: str, arrays: Path, folder: Path) -> Launch:
        model = folder / "mlflow"
        if not model.exists():
            run_module(Path(python), f"{ROOM}.mlflow_model", [str(arrays), str(model)])
        return _served(model, workers, python)

    return launch


def _mlflow_policy(workers: int) -> Callable[[str, Path, Path], Launch]:
    def launch(python: str, arrays: Path, folder: Path) -> Launch:
        model, (bundle, _, home) = folder / "policy", arrays.parents[:3]
        if not model.exists():
            run_module(Path(python), f"{ROOM}.mlflow_policy", [str(bundle), str(home / "programme.toml"), str(model)])
        return _served(model, workers, python)

    return launch


def _served(model: Path, workers: int, python: str) -> Launch:
    serve = ("models", "serve", "-m", str(model), "--env-manager", "local", "--workers", str(workers))
    return Launch(f"{model.name}-{workers}", module("mlflow", *serve, python=python), "/ping", _beside(python))


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


def _workers(n: int) -> str:
    return f"{n} worker{'s' * (n > 1)}"


def _rows(name: str) -> Callable[[], list[dict[str, object]]]:
    return lambda: [{name: [row]} for row in contexts()]


def _frames() -> list[dict[str, object]]:
    texts = (json.dumps(context) for context in named_contexts())
    return [{"dataframe_split": {"columns": ["context"], "data": [[text]]}} for text in texts]


# The registered policy is the same model as what a decision asks, with its encoding; the other is as little as there
# can be behind MLflow's server: a tensor in and numpy.
PEERS = (
    *(
        Scoring(
            f"mlflow, {what}, {_workers(n)}", PRODUCT, launch(n), "/invocations", asked, at_least=20.0, p99_at_most=0.1
        )
        for what, launch, asked in (
            ("registered policy", _mlflow_policy, _frames),
            ("numpy alone", _mlflow, _rows("inputs")),
        )
        for n in (1, 2)
    ),
    Scoring(
        "MLServer, 2 workers",
        MLSERVER,
        _mlserver,
        "/v2/models/uplift/infer",
        lambda: [_tensor(row) for row in contexts()],
        at_least=4.0,
    ),
    Scoring("BentoML, 2 workers", BENTO, _bento, "/score", _rows("rows"), at_least=4.0),
)
