"""`encore demo`: what it says to try works, what it starts it stops, and a second start keeps everything."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from decision.api.app import create_app
from decision.api.decisions import read_question
from decision.api.schemas import DecisionQuestion
from decision.cli import main
from decision.errors import EncoreError
from decision.event import Event
from decision.flow.observe import outcome_of
from decision.ledger.base import Promotion
from decision.records import Group, RewardStatus
from decision.stages.delivery import Endpoint
from decision.stages.groups import assign
from decision.wiring import Home, Shop, utc_now
from experiments.demo import customers, history
from experiments.demo.commands import _tells_others, _where
from experiments.demo.customers import REPORT
from experiments.demo.key import own_key
from experiments.shop import PROGRAMME
from tests import support

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BASE, PAGES = "http://127.0.0.1:8080", "http://127.0.0.1:5000"


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop of the demo's own kind that opens in no time."""
    monkeypatch.setattr(history, "CUSTOMERS", 3_000)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """The demo's folder before any promotion."""
    found = Home(tmp_path / "demo")
    found.root.mkdir()
    shutil.copyfile(PROGRAMME, found.programme_path)
    found.ledger().close()
    return found


def promoted(home: Home) -> Home:
    home.ledger().record_promotion(Promotion("20260601-abc", "promote", "passed the gate", (), NOW))
    return home


def curls(home: Home) -> list[list[str]]:
    """Return the commands that the demo tells to try, as a shell would split them."""
    return [shlex.split(line) for line in _where(home, BASE, PAGES, own_key(home)).splitlines() if "curl" in line]


def headers_of(command: list[str]) -> dict[str, str]:
    return dict(value.split(": ", 1) for option, value in pairwise(command) if option == "-H")


def body_of(command: list[str]) -> bytes:
    return command[command.index("-d") + 1].encode()


def test_four_commands_are_told_and_where_everything_is(home: Home) -> None:
    text = _where(home, BASE, PAGES, own_key(home))
    assert "simulated" in text.splitlines()[1]
    for place in (BASE, f"{BASE}/docs", PAGES, str(home.root / "logs")):
        assert place in text
    ask, who, why, tell = curls(home)
    assert (ask[2], who[2], why[2], tell[2]) == (
        f"{BASE}/v1/decisions",
        f"{BASE}/v1/customers/{json.loads(body_of(ask))['customer_id']}",
        f"{BASE}/v1/decisions/first-try",
        f"{BASE}/v1/events",
    )


def test_the_question_and_the_event_are_of_the_shape_the_api_takes(home: Home) -> None:
    ask, *_, tell = curls(home)
    programme = home.programme()
    question = msgspec.json.decode(body_of(ask), type=DecisionQuestion)
    asked = read_question(question, decision_id="d-1", fingerprint="", programme=programme)
    assert set(asked.features) <= set(programme.features)
    event = msgspec.json.decode(body_of(tell), type=Event)
    outcome = outcome_of(event, programme=programme, now=utc_now())
    assert outcome.customer_id == asked.customer_id
    assert outcome.properties["order_id"] != asked.order.order_id


def test_the_policy_decides_for_the_customer_in_the_example(home: Home) -> None:
    """Else the first thing anybody sees is a control group."""
    programme = home.programme()
    customer_id = json.loads(body_of(curls(home)[0]))["customer_id"]
    assert assign(customer_id, salt=programme.salt, shares=programme.shares) is Group.POLICY


def test_the_examples_work_in_order_and_again(home: Home) -> None:
    """Against the application itself; a second start prints the same question, which then gets the same answer."""
    ask, who, why, tell = curls(home)
    shop = Shop(home)
    client = create_app(shop).test_client()
    headers = headers_of(ask)
    assert headers.keys() == {"Authorization", "Content-Type"}
    first = client.post("/v1/decisions", data=body_of(ask), headers=headers)
    assert first.status_code == 200
    assert client.get(why[2].removeprefix(BASE), headers=headers_of(why)).json["decision_id"] == "first-try"
    known = client.get(who[2].removeprefix(BASE), headers=headers_of(who))
    assert known.json["customer_id"] == json.loads(body_of(ask))["customer_id"]
    told = client.post("/v1/events", data=body_of(tell), headers=headers_of(tell))
    assert told.status_code == 200
    assert (told.json["accepted"], told.json["rejected"]) == (1, [])
    again = client.post("/v1/decisions", data=body_of(curls(home)[0]), headers=headers)
    assert (again.status_code, again.json) == (200, first.json)
    shop.close()


def test_a_folder_is_ready_once_a_policy_has_been_promoted(home: Home, tmp_path: Path) -> None:
    assert not history.is_ready(Home(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()
    assert not history.is_ready(home)
    assert history.is_ready(promoted(home))


def test_a_second_start_keeps_the_data(home: Home) -> None:
    promotions = promoted(home).ledger().promotions()
    home.ledger().record_decision(support.decided(), (), seen_version=0)
    edited = home.programme_path.read_text() + "\n# edited by hand\n"
    home.programme_path.write_text(edited)
    said = CliRunner().invoke(main, ["demo", "--folder", str(home.root), "--set-up-only"])
    assert said.exit_code == 0, said.output
    assert "kept from before" in said.output
    assert home.programme_path.read_text() == edited
    assert home.ledger().promotions() == promotions
    assert home.ledger().counts()["decisions"] == 1


def test_a_folder_with_somebody_elses_files_is_left_alone(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--folder` may name a shop in its first weeks: decisions are in the ledger, no policy is promoted yet."""
    Gate(monkeypatch, passes=True)
    home.programme_path.write_text(support.PROGRAMME)
    home.ledger().record_decision(support.decided(), (), seen_version=0)
    CliRunner().invoke(main, ["demo", "--folder", str(home.root), "--set-up-only"])
    assert home.programme_path.read_text() == support.PROGRAMME
    assert home.ledger().decision("d-1") is not None


class Gate:
    """Stands in for training and the gate, which have tests of their own; remembers what the ledger held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, passes: bool) -> None:
        self.statuses: list[RewardStatus] = []
        self.passes = passes
        monkeypatch.setattr("experiments.train.train", self.train)
        monkeypatch.setattr("experiments.evaluate.evaluate", lambda *_, **__: self)
        monkeypatch.setattr("experiments.evaluate.promote_through_gate", self.promote)
        monkeypatch.setattr(history, "TRIAL_DAYS", 3)

    def train(self, home: Home, settings: object, **_: object) -> Gate:
        self.rewarded = list(home.ledger().rewarded())
        return self

    def promote(self, home: Home, found: object, **_: object) -> bool:
        if self.passes:
            promoted(home)
        return self.passes

    @property
    def challenger(self) -> Any:
        return self

    bundle = verdict = challenger
    because = version = "by hand"

    def sentences(self) -> tuple[str, ...]:
        return ("Promote the challenger.",)


def test_the_past_is_a_trial_that_has_just_become_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "new")
    gate = Gate(monkeypatch, passes=True)
    history.set_up(home, now=NOW, tell=lambda _: None)
    assert history.is_ready(home)
    assert len(gate.rewarded) > 100
    for row in gate.rewarded:
        assert row.reward.status is RewardStatus.FINAL
        assert row.decision.group is Group.RANDOM
        assert row.decision.decided_at < row.decision.matures_at <= NOW
        assert row.decision.propensity == pytest.approx(1 / len(row.decision.allowed))
    assert NOW - max(row.decision.matures_at for row in gate.rewarded) < timedelta(days=3)
    assert "being prepared" in _where(home, BASE, PAGES, own_key(home))
    assert list(customers.know_customers(home, now=NOW, seed=history.SEED))


def test_a_policy_that_fails_the_gate_is_told_and_the_next_start_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "new")
    Gate(monkeypatch, passes=False)
    with pytest.raises(EncoreError, match="pass the gate, it did not"):
        history.set_up(home, now=NOW, tell=lambda _: None)
    assert not history.is_ready(home)
    Gate(monkeypatch, passes=True)
    history.set_up(home, now=NOW, tell=lambda _: None)
    assert history.is_ready(home)


# Everything but MLflow's pages, which take ten seconds to start: a file server answers at /health in their place.
DRIVER = """
import sys
from pathlib import Path
from decision.wiring import Home
from experiments import mlflow_server
from experiments.demo import commands, history
folder, port, pages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
mlflow_server.command = lambda host, port: [
    sys.executable, "-m", "http.server", str(port), "--bind", host, "--directory", folder
]
history.CUSTOMERS = 3_000
commands.run(Home(Path(folder)), port, pages)
print("done", flush=True)
"""


def sessions(pid: int) -> set[int]:
    """Return the living children of a process; each leads a session."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(word) for word in found.stdout.split()}


def members(of: set[int]) -> set[int]:
    """Return the living processes of sessions; who has just been killed gets a moment to go."""
    for _ in range(20):
        if not (found := _members(of)):
            break
        time.sleep(0.02)
    return found


def _members(of: set[int]) -> set[int]:
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
            if os.getsid(int(name)) in of and state != "Z":
                found.add(int(name))
    return found


@dataclass
class Demo:
    """A running demo, and the sessions of what it has started once it says that all is up."""

    process: subprocess.Popen[str]
    started: set[int]

    def said_until(self, text: str) -> str:
        assert self.process.stdout is not None
        said = ""
        for line in self.process.stdout:
            said += line
            if text in line:
                return said
        raise AssertionError(f"ended without saying {text!r}:\n{said}")

    def is_up(self) -> str:
        said = self.said_until("Ctrl-C stops all of it.")
        self.started |= sessions(self.process.pid)
        return said


@pytest.fixture
def known(home: Home) -> None:
    """Nothing is left to prepare behind the shop."""
    (home.root / REPORT).write_text("from before")


@pytest.fixture
def running(home: Home) -> Iterator[Demo]:
    (home.root / "health").write_text("ok")
    with socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind(("127.0.0.1", 0))
        ports = [str(probe.getsockname()[1]) for probe in (one, two)]
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", DRIVER, str(home.root), *ports], stdout=subprocess.PIPE, text=True
    )
    started: set[int] = set()
    yield Demo(process, started)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(timeout=20.0)
    for pid in members(started):
        os.kill(pid, signal.SIGKILL)
    assert process.stdout is not None
    process.stdout.close()


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_sigterm_and_a_closed_terminal_stop_everything_that_was_started(
    running: Demo, home: Home, number: signal.Signals
) -> None:
    assert "Everything below is a simulated shop." in running.is_up()
    assert len(running.started) == 4
    assert len(members(running.started)) >= 5, "service with its workers, learner, pages"
    began = time.monotonic()
    running.process.send_signal(number)
    assert "The data are kept" in running.said_until("Stopped.")
    assert running.process.wait(timeout=20.0) == 0
    assert members(running.started) == set()
    assert time.monotonic() - began < 12.0
    assert {path.name for path in (home.root / "logs").iterdir()} == {
        f"{name}.log" for name in ("mlflow", "service", "learner", "features")
    }


@pytest.fixture
def _endpoint(home: Home) -> None:
    home.ledger().outbox.add(Endpoint("mailer", "https://localhost:9/x", ("email",), NOW), actor="tester")


@pytest.mark.usefixtures("_endpoint", "known")
def test_a_sender_runs_where_other_systems_are_to_be_told(home: Home, running: Demo) -> None:
    running.is_up()
    commands = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in running.started]
    assert [command[-3:-1] for command in commands if "webhooks" in command] == [["webhooks", "send"]]
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(timeout=20.0) == 0
    assert members(running.started) == set()
    home.ledger().outbox.stop("mailer", reason="by hand", actor="tester", now=NOW)
    assert not _tells_others(home)


@pytest.mark.usefixtures("known")
def test_a_service_that_dies_ends_the_demo(running: Demo) -> None:
    running.is_up()
    service = next(pid for pid in running.started if "serve" in Path(f"/proc/{pid}/cmdline").read_text().split("\0"))
    os.killpg(service, signal.SIGKILL)
    assert running.process.wait(timeout=20.0) == 1
    assert members(running.started) == set()


def test_customers_are_known_behind_the_shop_which_goes_on_whatever_comes_of_it(home: Home, running: Demo) -> None:
    """Here nobody has bought anything: nothing can be predicted, and that is told."""
    assert "(being prepared: a line will say when)" in running.is_up()
    assert "customers.log" in running.said_until("No report on customers, see")
    assert "Expected" in (home.root / "logs" / "customers.log").read_text()
    # The loop that looks after the processes has come round again.
    time.sleep(1.0)
    assert running.process.poll() is None


def test_the_key_is_the_same_at_every_start_until_it_is_revoked(home: Home) -> None:
    key, path = own_key(home), home.root / "make-run.key"
    assert own_key(home) == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert f"'Authorization: Bearer {key}'" in _where(home, BASE, PAGES, key)
    home.ledger().revoke_key(key[7:15], actor="tester", now=NOW)
    path.chmod(0o644)
    other = own_key(home)
    assert other != key
    assert (own_key(home), path.stat().st_mode & 0o777) == (other, 0o600)
    assert [act.act for act in home.ledger().acts()] == ["key created", "key revoked", "key created"]
