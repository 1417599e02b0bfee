"""Where a decision's microseconds go: `python -m experiments.bench.serving.profile`.

In one process, without a server: a clock around each stage, less what the stages inside it took. The clocks cost
about a microsecond a stage themselves, and what no stage covers is Flask and the code between.
"""

from __future__ import annotations

import importlib
import io
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from decision.api.app import create_app
from decision.wiring import Shop
from experiments.bench.serving.bench import Bench
from experiments.bench.serving.load import PLACEHOLDER
from experiments.bench.serving.report import Settings
from experiments.bench.serving.world import questions

WARM_UP = 200
# Stage by stage: module, and the function or method in it.
STAGES = {
    "key": [("decision.api.auth", "presented"), ("decision.stages.keys", "Keyring.find")],
    "read and validate the question": [
        ("decision.api.parsing", "body_of"),
        ("decision.api.parsing", "decode"),
        ("decision.api.decisions", "fingerprint_of"),
        ("decision.api.decisions", "read_question"),
    ],
    "look up the customer": [("decision.ledger.sqlite", "SqliteLedger.customer")],
    "look up budgets": [("decision.ledger.sqlite", "SqliteLedger.used")],
    "eligibility, CEL": [("decision.stages.eligibility", "assess")],
    "measurement group": [("decision.stages.groups", "assign")],
    "guardrails": [
        ("decision.stages.guardrails", name) for name in ("reach_of", "Purse.__init__", "apply", "Purse.dearest")
    ],
    "context": [("decision.stages.context", "build")],
    "encode": [("decision.stages.context", "Encoder.encode")],
    "uplift model": [("decision.bundle.models", "UpliftModel.predict")],
    "value in money": [("decision.serving", "expected_cost"), ("decision.serving", "before_cost")],
    "odds of the bandit": [("decision.policies.bandit", "Bandit.repurchase")],
    "Thompson's distribution": [("decision.policies.thompson", "Thompson.distribution")],
    "floor and draw": [("decision.stages.choice", name) for name in ("with_floor", "draw_for", "sample")],
    "reasons, promise, coupon": [("decision.stages.explanation", name) for name in ("reasons", "promise", "coupon")],
    "the decision's record": [("decision.flow.decide", "propose"), ("decision.serving", "Valued.by_name")],
    "row for the ledger": [("decision.ledger.sqlite", "decision_row")],
    "write and commit": [("decision.ledger.sqlite", "SqliteLedger.record_decision")],
    "answer": [("decision.api.decisions", "decision_answer"), ("decision.api.decisions", "encoded_answer")],
    "metrics and the log's line": [("decision.watching.middleware", "Watched._done")],
}


class Clocks:
    """Seconds of each stage, less those of the stages inside it."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]

    def around(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and counts its time."""

        @wraps(call)
        def timed(*arguments: Any, **named: Any) -> Any:
            self._inside.append(0.0)
            begun = time.perf_counter()
            try:
                return call(*arguments, **named)
            finally:
                took = time.perf_counter() - begun
                self.seconds[stage] += took - self._inside.pop()
                self._inside[-1] += took

        return timed


def install(clocks: Clocks) -> list[str]:
    """Put clocks around the stages of this process, and return the names of those that are not where they were."""
    lost = []
    for stage, places in STAGES.items():
        for module, path in places:
            owner: Any = importlib.import_module(module)
            *outer, name = path.split(".")
            for part in outer:
                owner = getattr(owner, part, None)
            if getattr(owner, name, None) is None:
                lost.append(f"{module}.{path}")
                continue
            setattr(owner, name, clocks.around(stage, getattr(owner, name)))
    return lost


def environment(request: bytes, number: int) -> dict[str, Any]:
    """Return a request as a WSGI server hands it over."""
    head, _, body = request.replace(PLACEHOLDER, f"{number:032x}".encode()).partition(b"\r\n\r\n")
    start, *headers = head.decode().split("\r\n")
    verb, path, _ = start.split(" ")
    named = {name.upper().replace("-", "_"): value for name, _, value in (one.partition(": ") for one in headers)}
    return {
        **{f"HTTP_{name}": value for name, value in named.items() if not name.startswith("CONTENT_")},
        **{name: value for name, value in named.items() if name.startswith("CONTENT_")},
        "REQUEST_METHOD": verb,
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def ask(app: Callable[..., Iterable[bytes]], environments: Iterable[dict[str, Any]]) -> float:
    """Return how many seconds an application takes to answer requests, one after the other."""
    statuses: set[str] = set()
    begun = time.perf_counter()
    for one in environments:
        b"".join(app(one, lambda status, *_: statuses.add(status)))
    took = time.perf_counter() - begun
    if statuses != {"200 OK"}:
        raise click.ClickException(f"Expected 200 for every decision, found {', '.join(sorted(statuses))}.")
    return took


def profile(decisions: int, folder: Path) -> str:
    """Return a table of stages for so many decisions, with a durable ledger in `folder`."""
    bench = Bench(Settings(0.0, 0, 1, 1, 1, 0.0), folder, click.echo)
    clocks = Clocks()
    lost = install(clocks)
    with bench.home() as (home, key):
        shop = Shop(home)
        app, asked = create_app(shop), questions(key)
        made = [environment(asked[n % len(asked)], n) for n in range(decisions + WARM_UP)]
        ask(app, made[:WARM_UP])
        clocks.seconds.clear()
        cpu = time.process_time()
        took = ask(app, made[WARM_UP:])
        cpu = time.process_time() - cpu
        shop.close()
    spent = dict(sorted(clocks.seconds.items(), key=lambda item: -item[1]))
    spent["Flask, and the code between"] = took - sum(spent.values())
    rows = [f"{name:34}{1e6 * seconds / decisions:>8.1f} µs{seconds / took:>7.1%}" for name, seconds in spent.items()]
    rows.append(f"{'a decision':34}{1e6 * took / decisions:>8.1f} µs, of it {1e6 * cpu / decisions:.1f} µs of CPU")
    return "\n".join(rows + [f"Not found, and so not told apart: {place}" for place in lost])


@click.command()
@click.option("--decisions", default=3_000, show_default=True, help="How many decisions are made.")
def main(decisions: int) -> None:
    """Show where a decision's microseconds go."""
    with tempfile.TemporaryDirectory() as folder:
        click.echo(profile(decisions, Path(folder)))


if __name__ == "__main__":
    main()
