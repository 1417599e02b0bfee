import itertools
import json
import socket
import time
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from experiments.bench.serving.__main__ import main
from experiments.bench.serving.http_client import parse
from experiments.bench.serving.load import PLACEHOLDER, Load, Run, fault_in
from experiments.bench.serving.report import Bar, Claim, Figures, ratios

STALL = 0.4
FIGURES = {"per_second", "p50_ms", "p99_ms", "max_ms", "cpu_us"}
ENTRIES = {
    "decision": ["noop", "decision"],
    "steady": ["noop", "decision", "decision, 64 silent connections"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def ran(folder: Path) -> Result:
    options = ["--seconds", "0.3", "--rounds", "1", "--connections", "4", "--json", str(folder / "serving.json")]
    return CliRunner().invoke(main, [*options, "--only", "decision", "--only", "steady"])


def test_a_run_ends_well_and_loses_no_acknowledged_decision(ran: Result, folder: Path) -> None:
    assert ran.exit_code == 0, (ran.output, ran.exception)
    report = json.loads((folder / "serving.json").read_text())
    for found in report["findings"].values():
        assert found["errors"] == {}
        assert found["acknowledged"] > 0
        assert found["lost"] == 0
    assert "0 lost, no errors" in ran.output


def test_the_report_holds_every_entry_their_ratios_and_the_machine(ran: Result, folder: Path) -> None:
    report = json.loads((folder / "serving.json").read_text())
    for section, names in ENTRIES.items():
        lines = {line["name"]: line for line in report["findings"][section]["lines"]}
        assert list(lines)[: len(names)] == names
        for line in lines.values():
            assert line["median"].keys() == FIGURES
            assert len(line["rounds"]) == report["settings"]["rounds"] == 1
    claims = {claim["name"]: claim for claim in report["findings"]["decision"]["claims"]}
    assert 0 < claims["decision / no-op, answers a second"]["median"] < 2
    assert claims["a decision on disk"]["median"] > 0
    assert report["machine"]["fsync_us"] > 0
    assert {"python", "sqlite", "granian", "flask"} <= report["machine"]["versions"].keys()
    assert all(name in ran.output for name in claims)


def test_a_slow_disk_is_slow_or_left_out_with_a_reason(ran: Result, folder: Path) -> None:
    found = json.loads((folder / "serving.json").read_text())["findings"]["decision"]
    syncs = [claim["median"] for claim in found["claims"] if claim["name"].startswith("fsync,")]
    assert all(sync > 1e3 * ms for sync, ms in zip(syncs, (1, 5), strict=True)) if syncs else found["skipped"]


def test_only_the_report_and_the_logs_are_left_behind(ran: Result, folder: Path) -> None:
    assert ran.exit_code == 0
    assert {path.suffix for path in folder.iterdir()} == {".json", ".log"}
    commands = [_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [command for command in commands if str(folder) in command]


def test_a_ratio_is_taken_inside_a_round_and_held_to_its_bar() -> None:
    fast, slow = Figures(9.0, 1.0, 2.0, 3.0, 4.0), Figures(3.0, 1.0, 2.0, 3.0, 4.0)
    values = ratios([slow, fast, slow], [fast, fast, slow], "per_second")
    assert values == [pytest.approx(1 / 3), 1.0, 1.0]
    claim = Claim.of("", "", values, bar=Bar(at_least=0.9))
    assert (claim.median, claim.low, claim.high, claim.held) == (1.0, pytest.approx(1 / 3), 1.0, True)
    assert Claim.of("", "", values, bar=Bar(at_most=0.9)).held is False
    assert Claim.of("", "", values).held is None


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


class Slow(Thread):
    """A server that answers every question but the first at once; that one it keeps for `STALL` seconds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))

    def run(self) -> None:
        connection, _ = self.listening.accept()
        with connection:
            for number in itertools.count():
                asked = connection.recv(1_000)
                if not asked:
                    return
                time.sleep(0.0 if number else STALL)
                body = b'{"decision_id":"%s","recorded":true}' % asked
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.mark.parametrize("rate", [None, 100.0])
def test_an_open_loop_counts_what_fell_due_during_a_stall(rate: float | None) -> None:
    server = Slow()
    server.start()
    port = server.listening.getsockname()[1]
    measured = Run(Load(port, 2 * STALL, 1, "p" * 24, (PLACEHOLDER,), rate)).run()
    server.listening.close()
    assert measured.errors == {}
    assert measured.max_ms >= 1e3 * STALL
    if rate is None:
        assert measured.p50_ms < 1e3 * STALL / 4
    else:
        # All that were due are asked, and half of them were due while the first was waited for.
        assert len(measured.acknowledged) == 2 * STALL * rate
        assert measured.p99_ms > 0.9 * 1e3 * STALL
