import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from experiments.bench.load import fault_in, parse
from experiments.bench.serving import main

ENDPOINTS = ("noop", "decision", "ratio")
FIGURES = {"per_second", "p50_ms", "p99_ms", "cpu_us"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def ran(folder: Path) -> Result:
    options = ["--seconds", "0.5", "--rounds", "1", "--connections", "4", "--json", str(folder / "serving.json")]
    return CliRunner().invoke(main, options)


def test_a_run_ends_well_and_loses_no_acknowledged_decision(ran: Result, folder: Path) -> None:
    assert ran.exit_code == 0, (ran.output, ran.exception)
    report = json.loads((folder / "serving.json").read_text())
    assert report["errors"] == {}
    assert report["acknowledged"] > 0
    assert report["lost"] == 0
    assert report["bytes_per_decision"] > 0


def test_the_report_holds_both_endpoints_their_ratio_and_the_machine(ran: Result, folder: Path) -> None:
    report = json.loads((folder / "serving.json").read_text())
    assert all(report[endpoint].keys() == FIGURES for endpoint in ENDPOINTS)
    assert len(report["rounds"]) == report["settings"]["rounds"] == 1
    assert report["machine"]["fsync_us"] > 0
    assert {"python", "sqlite", "granian", "flask"} <= report["machine"]["versions"].keys()
    assert "answers per second" in ran.output
    assert "0 lost, no errors" in ran.output


def test_only_the_report_and_the_logs_are_left_behind(ran: Result, folder: Path) -> None:
    assert ran.exit_code == 0
    assert {path.name for path in folder.iterdir()} == {"serving.json", "noop.log", "decision.log"}
    commands = [_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [command for command in commands if str(folder) in command]


def _command(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", 40)),
        (b"HTTP/1.1 503 No\r\nx: y\r\ncontent-length:2\r\n\r\n{}HTTP/1.1 200", (503, b"{}", 45)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", None),
        (b"HTTP/1.1 200 OK\r\nContent-Le", None),
    ],
)
def test_an_answer_ends_where_its_content_length_says(received: bytes, expected: object) -> None:
    assert parse(received) == expected


def test_an_answer_without_content_length_is_refused() -> None:
    with pytest.raises(ConnectionError):
        parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (200, b'{"decision_id":"a1","recorded":true}', None),
        (200, b'{"decision_id":"a1","recorded":false}', "not recorded"),
        (200, b'{"decision_id":"a2","recorded":true}', "answer to another question"),
        (503, b'{"decision_id":"a1","recorded":true}', "status 503"),
    ],
)
def test_only_a_recorded_decision_counts_as_an_answer(status: int, body: bytes, fault: str | None) -> None:
    assert fault_in(status, body, b"a1") == fault
