"""`encore demo`, the main job of `make run`."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from decision.wiring import Home, utc_now


@click.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".encore/simulated-shop"),
    show_default=True,
    help="Where the simulated shop is kept; delete it to start over.",
)
@click.option("--port", default=8080, show_default=True, help="First port to try for the decision service.")
@click.option("--mlflow-port", default=5000, show_default=True, help="First port to try for MLflow.")
@click.option("--set-up-only", is_flag=True, help="Create the shop and its policy, start nothing.")
def demo(folder: Path, port: int, mlflow_port: int, set_up_only: bool) -> None:
    """Create a simulated shop if there is none, then run service, learner and MLflow until Ctrl-C.

    With endpoints of `encore webhooks add` it runs their sender, too.
    """
    from experiments.demo.history import is_ready, set_up

    home = Home(folder)
    began = time.monotonic()
    if is_ready(home):
        click.echo(f"Simulated shop in {folder} (kept from before).")
    else:
        set_up(home, now=utc_now(), tell=click.echo)
        click.echo(f"Simulated shop in {folder}, set up in {time.monotonic() - began:.0f} s.")
    if not set_up_only:
        run(home, port, mlflow_port)


def run(home: Home, port: int, mlflow_port: int) -> None:
    """Start everything, say where it is, and stop it on Ctrl-C or SIGTERM."""
    from experiments import mlflow_server
    from experiments.demo import customers
    from experiments.demo.key import own_key
    from experiments.demo.processes import Processes, free_port

    # A shell that starts jobs in the background makes them ignore Ctrl-C; here it always stops everything.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    port, mlflow_port = free_port(port), free_port(mlflow_port)
    base, pages = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{mlflow_port}"
    encore = [sys.executable, "-m", "decision.cli", "--home", str(home.root)]
    environment, key = dict(os.environ), own_key(home)
    try:
        with Processes(home.root / "logs") as processes:
            processes.start("mlflow", mlflow_server.command("127.0.0.1", mlflow_port), mlflow_server.environment())
            processes.start("service", [*encore, "serve", "--port", str(port)], environment)
            processes.start("learner", [*encore, "learn"], environment)
            if _tells_others(home):
                processes.start("webhooks", [*encore, "webhooks", "send"], environment)
            processes.start("features", [*encore, "features", "follow"], environment)
            processes.wait_for("service", f"{base}/readyz", seconds=60.0)
            processes.wait_for("mlflow", f"{pages}/health", seconds=120.0)
            click.echo(_where(home, base, pages, key))
            preparing = not (home.root / customers.REPORT).exists()
            if preparing:
                processes.start("customers", customers.command(home), environment)
            while True:
                if preparing and processes.ended("customers"):
                    preparing = False
                    del processes.running["customers"]
                    click.echo(_prepared(home))
                for name in processes.running:
                    processes.check(name)
                time.sleep(0.5)
    except KeyboardInterrupt:
        click.echo("\nStopped. The data are kept; `make run` goes on from here.")


def _prepared(home: Home) -> str:
    """Return the line that says whether customers are known now."""
    from experiments.demo.customers import REPORT

    report, log = home.root / REPORT, home.root / "logs" / "customers.log"
    if report.exists():
        return f"\nWhat Encore earns is told now, customers have predictions, and there is a report on them: {report}"
    return f"\nNo report on customers, see {log}"


def _page(path: Path) -> str:
    return f"{path}" if path.exists() else f"{path}   (being prepared: a line will say when)"


def _tells_others(home: Home) -> bool:
    """Return whether other systems are to be told: a sender for nobody would only take memory."""
    with closing(home.ledger()) as ledger:
        return any(not endpoint.stopped for endpoint in ledger.outbox.endpoints())


def _interrupt(number: int, frame: Any) -> None:
    del number, frame
    raise KeyboardInterrupt


def _where(home: Home, base: str, pages: str, key: str) -> str:
    from experiments.demo.customers import REPORT
    from experiments.demo.history import someone
    from experiments.live.commands import PAGE

    earned, report = (_page(home.root / page) for page in (PAGE, REPORT))
    _, arrival = someone(home, utc_now())
    customer = arrival.customer_id
    ask = {
        "decision_id": "first-try",
        "customer_id": customer,
        "trigger": "purchase",
        "order": {"order_id": "first-order", "total": {"amount": "59.90", "currency": "EUR"}, "item_count": 2},
        "store": arrival.store,
        "features": {name: value for name, value in arrival.features.items() if value is not None},
        "consent": arrival.consent,
    }
    tell = {
        "event": "Order Completed",
        "message_id": "first-message",
        "customer_id": customer,
        "timestamp": f"{utc_now() + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "properties": {"order_id": "second-order", "revenue": "42.00", "currency": "EUR"},
    }
    authorization = f"-H 'Authorization: Bearer {key}'"
    post = f"curl -s {base}/v1/%s {authorization} -H 'Content-Type: application/json' -d '%s'"
    return "\n".join(
        [
            "",
            "Everything below is a simulated shop.",
            f"  decisions   {base}   (how to call it: {base}/docs)",
            f"  MLflow      {pages}   (training runs, evaluations, the registered policy)",
            f"  logs        {home.root / 'logs'}",
            f"  what Encore earns: {earned}",
            f"  API key     {key}   (may do everything; also the user name where the browser asks for one)",
            "",
            "Ask what to give a customer who has just bought something:",
            f"  {post % ('decisions', json.dumps(ask))}",
            "Who is she, and what will she do?",
            f"  curl -s {base}/v1/customers/{customer} {authorization}",
            f"  report on all customers: {report}",
            "Why, and with which probabilities?",
            f"  curl -s {base}/v1/decisions/first-try {authorization}",
            "Tell that she came back:",
            f"  {post % ('events', json.dumps(tell))}",
            "",
            "Ctrl-C stops all of it.",
        ]
    )
