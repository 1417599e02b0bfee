"""The `encore` command: what it says, where it exits."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from decision import wiring
from decision.cli import main
from decision.flow.promotion import champion_version, promote
from decision.ledger.sqlite import SqliteLedger
from decision.locks import FileLock
from decision.wiring import Home
from tests import support
from tests.support import DAY, NOW, PROGRAMME


def encore(home: Home | Path, *arguments: str) -> Result:
    root = home.root if isinstance(home, Home) else home
    return CliRunner().invoke(main, ["--home", str(root), *arguments])


def test_help_is_there_for_every_command() -> None:
    done = subprocess.run([sys.executable, "-m", "decision.cli", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for command in main.commands:
        assert command in done.stdout
        help_ = CliRunner().invoke(main, [command, "--help"])
        assert help_.exit_code == 0
        assert len(help_.output.splitlines()) > 3


def test_init_then_check(tmp_path: Path) -> None:
    home = tmp_path / "new" / "shop"
    done = encore(home, "init")
    assert (done.exit_code, f"then run `encore --home {home} check`." in done.output) == (0, True)
    done = encore(home, "check")
    assert (done.exit_code, done.output) == (
        0,
        "My shop: 5 offers, 4 channels, 16 actions with control, 2 stores. No mistakes.\n"
        "budget bogo_month: paced over the month\nbudget hamburg_week: paced over the week\n",
    )
    assert encore(home, "policy").output == "serving: business as usual\n"


def test_init_overwrites_nothing(home: Home) -> None:
    done = encore(home, "init")
    assert (done.exit_code, "found one" in done.stderr) == (2, True)
    assert home.programme_path.read_text() == PROGRAMME


def test_check_lists_each_mistake_with_line_and_place(home: Home) -> None:
    text = PROGRAMME.replace("percent = 10", "percent = 0").replace('region = "north"', 'region = "nort"')
    home.programme_path.write_text(text)
    done = encore(home, "check")
    lines = {line: number for number, line in enumerate(text.splitlines(), 1)}
    wrong = 'region = "nort"'
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        f"line {lines['percent = 0']}, offers.discount.percent: expected a number from 0.01 to 100, found 0",
        f"line {lines[wrong]}, stores.hamburg.region: unknown region 'nort'; did you mean 'north'?",
        f"2 mistakes in {home.programme_path}.",
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "99999"], "99999 is not in the range 1<=x<=65535"),
        (["--port", "0"], "0 is not in the range 1<=x<=65535"),
        (["--workers", "0"], "0 is not in the range x>=1"),
        (
            ["--host", "203.0.113.1"],
            "encore: Can't listen on 203.0.113.1 port 8080: Cannot assign requested address.\n",
        ),
        (["--host", "no such host"], "encore: Can't listen on no such host port 8080: "),
    ],
)
def test_an_address_where_nobody_can_listen_is_a_sentence(home: Home, options: list[str], sentence: str) -> None:
    done = encore(home, "serve", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


@pytest.mark.parametrize("command", ["check", "serve", "learn"])
def test_without_a_programme_it_says_what_to_do(tmp_path: Path, command: str) -> None:
    done = encore(tmp_path / "nothing", command)
    assert (done.exit_code, f"Run `encore --home {tmp_path / 'nothing'} init`" in done.stderr) == (2, True)
    assert not (tmp_path / "nothing").exists(), "a wrong folder is not filled"


def test_a_damaged_ledger_is_a_sentence(home: Home) -> None:
    home.ledger_path.write_text("not a database" * 99)
    for command in (["policy"], ["learn", "--once"], ["upgrade"], ["rollback", "--reason", "x"]):
        done = encore(home, *command)
        assert (done.exit_code, "not a database" in done.stderr) == (2, True), done.output


def test_policy_and_rollback(home: Home) -> None:
    ledger, versions = home.ledger(), [support.write_bundle(home.bundles, seed=seed).version for seed in (1, 2)]
    assert encore(home, "rollback", "--reason", "x").exit_code == 2
    for version in versions:
        promote(
            version,
            programme=home.programme(),
            bundles=home.bundles,
            ledger=ledger,
            reason="gate",
            verdict=(),
            now=NOW,
        )
    done = encore(home, "rollback", "--reason", "returns rose")
    assert (done.exit_code, done.stdout) == (0, f"{versions[0]} serves again.\n")
    shown = encore(home, "policy").output.splitlines()
    assert len(shown) == 4
    assert shown[0] == f"2026-03-04 12:00:00 promote  {versions[0]}  gate"
    assert shown[2].endswith(f"rollback {versions[0]}  returns rose")
    assert shown[3] == f"serving: {versions[0]}"
    assert champion_version(ledger) == versions[0]
    assert encore(home, "rollback").exit_code == 2, "a reason is part of the record"


def test_learn_once(home: Home) -> None:
    ledger = home.ledger()
    ledger.record_decision(support.decided(at=NOW - 1_000 * DAY), (), seen_version=0)
    done = encore(home, "learn", "--once")
    assert (done.exit_code, "1 reward," in done.output) == (0, True)
    assert encore(home, "learn", "--once").output == ""
    home.programme_path.write_text("broken")
    assert encore(home, "learn", "--once").exit_code == 2


def test_of_two_learners_the_second_waits_then_says_who_is_in_the_way(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.ledger().record_decision(support.decided(at=NOW - 1_000 * DAY), (), seen_version=0)
    other = FileLock(home.root / "learn.lock")
    assert other.acquire(patience=0.0)
    monkeypatch.setattr(wiring, "LEARNERS_PATIENCE", 0.1)
    done = encore(home, "learn", "--once")
    assert (done.exit_code, "found one at work" in done.stderr) == (2, True)
    assert home.ledger().counts()["rewards"] == 0
    monkeypatch.setattr(wiring, "LEARNERS_PATIENCE", 30.0)
    threading.Timer(0.2, other.release).start()
    done = encore(home, "learn", "--once")
    assert (done.exit_code, "1 reward," in done.output) == (0, True)


def test_upgrade_is_harmless(home: Home) -> None:
    assert encore(home, "upgrade").exit_code == 2, "there is nothing to upgrade"
    home.ledger().record_decision(support.decided(), (), seen_version=0)
    done = encore(home, "upgrade")
    assert (done.exit_code, done.output) == (0, f"{home.ledger_path} is up to date.\n")
    assert home.ledger().counts()["decisions"] == 1


def test_an_unknown_command_is_an_error(home: Home) -> None:
    assert encore(home, "servce").exit_code == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_learner_outlives_a_typing_mistake_and_stops_when_told(home: Home, number: int) -> None:
    home.ledger().record_decision(support.decided(at=NOW - 1_000 * DAY), (), seen_version=0)
    home.programme_path.write_text(PROGRAMME)
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "decision.cli", "--home", str(home.root), "learn", "--every", "0.1"]
    learner = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert learner.stdout is not None
    assert learner.stderr is not None
    try:
        assert json.loads(learner.stderr.readline())["event"] == "learning"
        assert "1 reward," in json.loads(learner.stderr.readline())["event"]
        home.programme_path.write_text("[programme")
        assert "skipped a round" in json.loads(learner.stderr.readline())["event"]
        home.programme_path.write_text(PROGRAMME)
        ledger = SqliteLedger(home.ledger_path)
        ledger.record_decision(
            support.decided(decision_id="d-2", customer_id="c-2", at=NOW - 1_000 * DAY), (), seen_version=0
        )
        line = learner.stderr.readline()
        while "skipped a round" in line:
            line = learner.stderr.readline()
        assert "1 reward," in json.loads(line)["event"]
    finally:
        learner.send_signal(number)
        began = time.monotonic()
        learner.communicate(timeout=10)
    assert learner.returncode == 0
    assert time.monotonic() - began < 5
