"""The demo's processes: started, waited for, and stopped without leaving any behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from decision.errors import EncoreError
from experiments.demo import processes as module
from experiments.demo.processes import Processes, free_port

# Answers 503 twice, then 200; says so in its log.
SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    asked = 0
    def do_GET(self):
        Handler.asked += 1
        self.send_response(503 if Handler.asked < 3 else 200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"
POLITE = """
import signal, sys, time
def bye(*_):
    print("bye", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("up", flush=True)
time.sleep(60)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
# Starts a child that ignores SIGTERM and ends at once when told to, as a server with workers may.
ABANDONS = f"""
import subprocess, sys, time
worker = subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
print("worker", worker.pid, flush=True)
time.sleep(60)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def log_of(processes: Processes, name: str, *, until: str) -> str:
    """Return a log once it holds a text."""
    end = time.monotonic() + 10.0
    while time.monotonic() < end:
        text = (processes.logs / f"{name}.log").read_text()
        if until in text:
            return text
        time.sleep(0.02)
    raise AssertionError(f"{name} never said {until!r}")


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path / "logs") as processes:
        yield processes


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_waiting_ends_when_the_address_answers_well(started: Processes, port: int) -> None:
    started.start("server", python(SERVER, str(port)), os.environ)
    started.wait_for("server", f"http://127.0.0.1:{port}/", seconds=10.0)
    assert log_of(started, "server", until="200").count("503") == 2


def test_a_process_that_ends_while_waited_for_is_named_with_its_log(started: Processes, port: int) -> None:
    started.start("brief", python("import sys; print('no luck'); sys.exit(3)"), os.environ)
    with pytest.raises(EncoreError, match=r"brief has ended with code 3\. See .*brief\.log") as told:
        started.wait_for("brief", f"http://127.0.0.1:{port}/", seconds=10.0)
    assert "no luck" in (started.logs / "brief.log").read_text()
    assert str(started.logs) in told.value.hint


def test_waiting_has_an_end(started: Processes, port: int) -> None:
    started.start("mute", python(SLEEPER), os.environ)
    with pytest.raises(EncoreError, match=rf"mute to answer at http://127.0.0.1:{port}/ within 0 s.*mute\.log"):
        started.wait_for("mute", f"http://127.0.0.1:{port}/", seconds=0.3)


def test_a_running_process_passes_the_check(started: Processes) -> None:
    started.start("sleeper", python(SLEEPER), os.environ)
    started.check("sleeper")
    started.running["sleeper"].kill()
    started.running["sleeper"].wait()
    with pytest.raises(EncoreError, match="sleeper has ended with code -9"):
        started.check("sleeper")


def test_a_process_with_an_end_has_come_to_it_well_or_not(started: Processes) -> None:
    started.start("sleeper", python(SLEEPER), os.environ)
    assert not started.ended("sleeper")
    for name, code in (("good", "pass"), ("bad", "raise SystemExit(3)")):
        started.start(name, python(code), os.environ)
        started.running[name].wait()
        assert started.ended(name)


def test_a_process_gets_its_environment_and_nothing_to_read(started: Processes) -> None:
    code = "import os, sys; print(sorted(k for k in os.environ if k != 'LC_CTYPE'), repr(sys.stdin.read()), flush=True)"
    started.start("nosy", python(code), {"ONLY": "this"})
    assert log_of(started, "nosy", until="\n") == "['ONLY'] ''\n"


def test_a_control_c_in_the_terminal_does_not_reach_the_children(started: Processes) -> None:
    """They are in sessions of their own; the parent stops them in its own time."""
    started.start("sleeper", python(SLEEPER), os.environ)
    pid = started.running["sleeper"].pid
    assert os.getsid(pid) == pid != os.getsid(0)


def test_leaving_stops_all_and_lets_them_say_goodbye(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        for name in ("one", "two"):
            processes.start(name, python(POLITE), os.environ)
            log_of(processes, name, until="up")
    for name, process in processes.running.items():
        assert process.returncode == 0
        assert not alive(process.pid)
        assert (tmp_path / f"{name}.log").read_text() == "up\nbye\n"


def test_who_ignores_the_signal_is_killed_and_all_share_the_patience(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 1.0)
    with Processes(tmp_path) as processes:
        for name in ("one", "two", "three"):
            processes.start(name, python(STUBBORN), os.environ)
            log_of(processes, name, until="up")
        began = time.monotonic()
    assert time.monotonic() - began < 2.5
    assert [process.returncode for process in processes.running.values()] == [-signal.SIGKILL] * 3
    assert not any(alive(process.pid) for process in processes.running.values())


def test_no_worker_outlives_the_process_that_started_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 1.0)
    with Processes(tmp_path) as processes:
        processes.start("server", python(ABANDONS), os.environ)
        worker = int(log_of(processes, "server", until="up").split()[1])
    end = time.monotonic() + 2.0
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.02)
    survived = alive(worker)
    if survived:
        os.kill(worker, signal.SIGKILL)
    assert not survived


def test_leaving_by_an_error_stops_all_and_lets_the_error_through(tmp_path: Path) -> None:
    processes = Processes(tmp_path)

    def fails() -> None:
        with processes:
            processes.start("sleeper", python(SLEEPER), os.environ)
            raise KeyError("oh")

    with pytest.raises(KeyError, match="oh"):
        fails()
    assert not alive(processes.running["sleeper"].pid)


def test_a_process_that_has_ended_already_is_no_trouble(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("brief", python("pass"), os.environ)
        processes.running["brief"].wait()
        processes.start("sleeper", python(SLEEPER), os.environ)
    assert not alive(processes.running["sleeper"].pid)


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for word in ("first", "second"):
        with Processes(tmp_path) as processes:
            processes.start("brief", python(f"print({word!r})"), os.environ)
            processes.running["brief"].wait()
    assert (tmp_path / "brief.log").read_text() == "first\nsecond\n"


def test_a_command_that_does_not_exist_stops_what_runs_already(tmp_path: Path) -> None:
    processes = Processes(tmp_path)

    def fails() -> None:
        with processes:
            processes.start("sleeper", python(SLEEPER), os.environ)
            processes.start("ghost", [str(tmp_path / "no-such-command")], os.environ)

    with pytest.raises(FileNotFoundError):
        fails()
    assert not alive(processes.running["sleeper"].pid)


def test_a_free_port_is_taken_as_it_is(port: int) -> None:
    assert free_port(port) == port


def test_a_busy_port_is_skipped(port: int) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", port))
        busy.listen()
        found = free_port(port)
        assert port < found <= port + 99


def test_a_hundred_busy_ports_are_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Answers(socket.socket):
        def connect_ex(self, address: object) -> int:
            return 0

    monkeypatch.setattr(module.socket, "socket", Answers)
    with pytest.raises(EncoreError, match="free port from 8080 on, found none"):
        free_port(8080)
