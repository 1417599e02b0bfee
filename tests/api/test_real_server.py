"""`encore serve` as a process of its own: everything that a test client can't show."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from decision.flow.promotion import promote, rollback
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home
from tests import support
from tests.support import NOW, PROGRAMME

SECONDS = 20.0


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Server:
    """A running `encore serve`."""

    def __init__(self, home: Home, port: int | None = None) -> None:
        self.port = port or free_port()
        ledger = home.ledger()
        self.key = support.key_in(ledger)
        ledger.close()
        command = [sys.executable, "-m", "decision.cli", "--home", str(home.root), "serve", "--port", str(self.port)]
        self.log = open(home.root / "server.log", "w+b")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            # A runner in the background ignores Ctrl-C and hands that down; a terminal's child does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}

    def call(self, path: str, body: object = None, **headers: str) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = self.headers | {k.replace("_", "-"): v for k, v in headers.items()}
        with urlopen(Request(f"http://127.0.0.1:{self.port}{path}", data, headers), timeout=SECONDS) as response:
            return json.load(response)

    def wait(self) -> None:
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.text()
            with suppress(URLError, ConnectionError):
                self.call("/readyz")
                return
            time.sleep(0.05)
        raise AssertionError(self.text())

    def text(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()

    def family(self) -> list[int]:
        """Return the living processes of the server's session: its own and its workers."""
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                state = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[0]
                if os.getsid(int(name)) == self.process.pid and state != "Z":
                    found.append(int(name))
        return found

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=SECONDS)
        self.log.close()


@contextmanager
def serving(home: Home) -> Iterator[Server]:
    server = Server(home)
    try:
        server.wait()
        yield server
    finally:
        server.kill()


def question(n: int = 0) -> dict[str, Any]:
    return {
        "customer_id": f"c-{n}",
        "trigger": "purchase",
        "order": {"order_id": f"o-{n}", "total": {"amount": "59.90", "currency": "EUR"}},
        "consent": {"email": True, "sms": True},
    }


def promoted(home: Home, ledger: SqliteLedger, *, seed: int) -> str:
    bundle = support.write_bundle(home.bundles, seed=seed)
    promote(
        bundle.version,
        programme=home.programme(),
        bundles=home.bundles,
        ledger=ledger,
        reason="better",
        verdict=(),
        now=NOW,
    )
    return f"{bundle.version}+0"


def served_within(server: Server, version: str, *, seconds: float) -> float:
    """Return after how many seconds twenty answers in a row, from whichever worker, came from a version."""
    began, row = time.monotonic(), 0
    while row < 20:
        row = row + 1 if server.call("/v1/policy")["policy_version"] == version else 0
        taken = time.monotonic() - began
        assert taken < seconds, (version, server.text())
    return taken


def test_a_day_of_a_server(home: Home) -> None:
    ledger = home.ledger()
    with serving(home) as server:
        answer = server.call("/v1/decisions", question())
        assert answer["recorded"]
        assert answer["policy_version"] == "business_as_usual"
        assert server.call(f"/v1/decisions/{answer['decision_id']}")["customer_id"] == "c-0"
        with pytest.raises(HTTPError) as caught:
            server.call("/v1/decisions", {"customer_id": 1})
        assert caught.value.code == 422
        caught.value.close()

        in_chunks = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        # Just past the limit: who sends on while it is refused loses the connection before the answer.
        in_chunks.request("POST", "/v1/decisions", iter([b" " * 10_000] * 7), server.headers)
        assert in_chunks.getresponse().status == 413
        in_chunks.close()

        with ThreadPoolExecutor(16) as pool:
            again = list(
                pool.map(lambda _: server.call("/v1/decisions", question(1), Idempotency_Key='"k"'), range(50))
            )
        assert again == [again[0]] * 50
        assert ledger.counts()["decisions"] == 2

        # Workers look every half second; two seconds leave room for a busy machine.
        first = promoted(home, ledger, seed=1)
        served_within(server, first, seconds=2.0)
        second = promoted(home, ledger, seed=2)
        served_within(server, second, seconds=2.0)
        rollback(bundles=home.bundles, ledger=ledger, reason="worse", now=NOW)
        served_within(server, first, seconds=2.0)
        rollback(bundles=home.bundles, ledger=ledger, reason="all worse", now=NOW)
        served_within(server, "business_as_usual", seconds=2.0)
        assert promoted(home, ledger, seed=1) == first
        served_within(server, first, seconds=2.0)
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda n: server.call("/v1/decisions", question(n)), range(100, 200)))
        assert {a["policy_version"] for a in answers} == {first}
        assert all(a["recorded"] for a in answers)
        assert {a["group"] for a in answers} >= {"policy"}

        event = {
            "event": "Order Completed",
            "customer_id": "c-0",
            "timestamp": answer["decided_at"],
            "properties": {"order_id": "o-9", "revenue": "20.00"},
        }
        assert server.call("/v1/events", event) == {"accepted": 1, "duplicates": 0, "rejected": []}
        assert ledger.customer("c-0").orders == 1
        assert "Traceback" not in server.text()
    ledger.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_told(home: Home, number: int) -> None:
    with serving(home) as server:
        assert server.call("/v1/decisions", question())["recorded"]
        assert len(server.family()) >= 3, "a main process and two workers"
        server.process.send_signal(number)
        assert server.process.wait(timeout=10) == 0
        # Python's own resource tracker follows a moment later.
        deadline = time.monotonic() + 5
        while server.family() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.family() == []
        assert "Traceback" not in server.text()
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", server.port))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_also_when_every_process_is_told(home: Home, number: int) -> None:
    """A terminal's Ctrl-C and systemd's stop reach the workers too."""
    for _ in range(4):
        with serving(home) as server:
            assert server.call("/v1/decisions", question())["recorded"]
            os.killpg(server.process.pid, number)
            assert server.process.wait(timeout=10) == 0, server.text()
            assert "Traceback" not in server.text()


def test_two_servers_never_share_a_port(home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    other.root.mkdir()
    other.programme_path.write_text(PROGRAMME)
    with serving(home) as server:
        second = Server(other, server.port)
        try:
            assert second.process.wait(timeout=SECONDS) == 2
            assert second.text() == f"encore: Port {server.port} is taken. Give another --port.\n"
        finally:
            second.kill()
        assert server.call("/v1/policy")["programme"] == "Test shop"


def test_a_killed_server_has_kept_every_answer_it_gave(home: Home) -> None:
    with serving(home) as server, ThreadPoolExecutor(8) as pool:
        answers = []

        def ask(n: int) -> None:
            with suppress(OSError, ValueError, HTTPException):
                answers.append(server.call("/v1/decisions", question(n)))

        asked = [pool.submit(ask, n) for n in range(400)]
        while len(answers) < 100:
            time.sleep(0.005)
        os.killpg(server.process.pid, signal.SIGKILL)
        for one in asked:
            one.result(timeout=SECONDS)
    assert 100 <= len(answers) < 400
    ledger = home.ledger()
    for answer in answers:
        kept = ledger.decision(answer["decision_id"])
        assert kept is not None
        assert (kept.action_id, kept.propensity, kept.coupon) == (
            answer["action"]["action_id"],
            answer["propensity"],
            answer["action"]["coupon"],
        )
    ledger.close()


def test_a_programme_with_a_mistake_is_not_served(home: Home) -> None:
    home.programme_path.write_text(PROGRAMME.replace("percent = 10", "percent = 0"))
    server = Server(home)
    assert server.process.wait(timeout=SECONDS) == 2
    assert "offers.discount.percent: expected a number" in server.text()
    server.kill()


def test_workers_end_with_a_server_that_is_killed(home: Home) -> None:
    with serving(home) as server:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(timeout=SECONDS)
        deadline = time.monotonic() + SECONDS
        while server.family() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.family() == [], "they would keep the port"


def test_workers_that_die_at_once_again_and_again_are_started_anew(home: Home) -> None:
    with serving(home) as server:
        for _ in range(3):
            for pid in set(server.family()) - {server.process.pid}:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
            server.wait()
        assert server.call("/v1/decisions", question())["recorded"]
