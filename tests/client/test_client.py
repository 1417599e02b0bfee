"""The Python client, against a real server and against servers that fail for real."""

from __future__ import annotations

import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from decision.api.fallback import fallback
from decision.api.schemas import EventReceipt
from decision.client import DecisionQuestion, Encore, Event, Money, OrderFacts, Refused, Unreachable
from decision.errors import InvalidInput
from decision.exchange import Address
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home
from tests import support
from tests.api.test_real_server import Server, free_port, serving
from tests.support import NOW

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
# Long enough for a busy machine; nothing below waits for it unless it says so.
AMPLE = 20.0


def question(customer_id: str = "c-1", **changes: Any) -> DecisionQuestion:
    order = OrderFacts("o-1", Money(Decimal("59.90"), "EUR"))
    return DecisionQuestion(customer_id, "purchase", order, consent={"email": True}, **changes)


def visit(**changes: Any) -> Event:
    blank = Event("Product Viewed", "c-1", datetime.now(UTC), {"sku": "s"}, "m-1")
    return msgspec.structs.replace(blank, **changes)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("client"))
    home.programme_path.write_text(support.PROGRAMME)
    return home


@pytest.fixture(scope="module")
def server(home: Home) -> Iterator[Server]:
    with serving(home) as server:
        yield server


@pytest.fixture
def ledger(home: Home, server: Server) -> Iterator[SqliteLedger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


@pytest.fixture
def encore(server: Server) -> Iterator[Encore]:
    with Encore(f"http://127.0.0.1:{server.port}", server.key, timeout=AMPLE, event_timeout=AMPLE) as encore:
        yield encore


def test_a_decision_and_what_followed(encore: Encore, ledger: SqliteLedger) -> None:
    answer = encore.decide(question())
    kept = ledger.decision(answer.decision_id)
    assert kept is not None
    assert answer.recorded
    assert (kept.customer_id, kept.propensity, kept.action_id) == ("c-1", answer.propensity, answer.action.action_id)
    assert encore.decide(question(decision_id=answer.decision_id)) == answer
    assert encore.event(visit()) == EventReceipt(1, 0, ())
    receipt = encore.events([visit(), visit(message_id="m-2"), visit(message_id="m-3", event="Prodct Viewed")])
    assert (receipt.accepted, receipt.duplicates) == (1, 1)
    assert [(one.index, one.pointer) for one in receipt.rejected] == [(2, "$.batch[2].event")]
    assert encore.counts == {"decided": 2}


def test_many_threads_share_connections_and_get_their_own_answers(encore: Encore, ledger: SqliteLedger) -> None:
    def ask(n: int) -> bool:
        answer = encore.decide(question(f"many-{n}", decision_id=f"many-{n}"))
        return answer.recorded and answer.decision_id == f"many-{n}"

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(200)))
    assert ledger.decision("many-199") is not None


def test_a_forked_child_opens_connections_of_its_own(encore: Encore) -> None:
    assert encore.decide(question("parent")).recorded
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, b"yes" if encore.decide(question("child")).recorded else b"no")
        os._exit(0)
    assert encore.decide(question("parent")).recorded
    os.waitpid(child, 0)
    os.close(writable)
    assert os.read(readable, 10) == b"yes"
    os.close(readable)


def test_what_is_wrong_with_a_question_stops_developers_and_not_tills(
    server: Server, encore: Encore, caplog: pytest.LogCaptureFixture
) -> None:
    strict = Encore(f"http://127.0.0.1:{server.port}", server.key, timeout=AMPLE, strict=True)
    with pytest.raises(Refused) as caught:
        strict.decide(question(store="atlantis"))
    assert (caught.value.status, caught.value.pointer) == (422, "$.store")
    assert "hamburg" in str(caught.value)
    with pytest.raises(Refused, match="Expected what JSON can hold"):
        strict.decide(question(features={"age": object()}))
    strict.close()
    with caplog.at_level(logging.ERROR):
        answer = encore.decide(question(store="atlantis"))
    assert (answer.action.action_id, answer.recorded, answer.reasons[0].code) == ("control", False, "refused")
    assert "atlantis" in caplog.text
    assert encore.counts == {"refused": 1}


def test_a_wrong_key_is_no_secret_and_stops_no_till(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    secret = server.key[:-4] + "aaaa"
    with Encore(f"http://127.0.0.1:{server.port}", secret, timeout=AMPLE) as encore:
        assert encore.decide(question()).reasons[0].code == "refused"
        with pytest.raises(Refused) as caught:
            encore.event(visit())
    assert caught.value.status == 401
    assert secret not in caplog.text + str(caught.value) + repr(encore)


def test_refused_events_raise(encore: Encore) -> None:
    with pytest.raises(Refused, match=r"Order Completed"):
        encore.event(visit(event="Order Complete"))
    with pytest.raises(Refused, match="at most 1000 events"):
        encore.events([visit()] * 1001)


def test_nobody_is_there(caplog: pytest.LogCaptureFixture) -> None:
    with Encore(f"http://127.0.0.1:{free_port()}", "key", timeout=0.2, event_timeout=0.2) as encore:
        answer = encore.decide(question(decision_id="mine"))
        assert answer == fallback("mine", code="unreachable", detail=answer.reasons[0].detail, now=answer.decided_at)
        assert "refused" in answer.reasons[0].detail
        with pytest.raises(Unreachable) as caught:
            encore.event(visit())
    assert caught.value.code == "unreachable"
    assert encore.counts == {"unreachable": 1}
    assert "decision mine is control" in caplog.text


@pytest.mark.parametrize(
    "url", ["encore.example.com", "ftp://encore", "http://", "http://user:pw@encore", "http://a:b"]
)
def test_a_url_that_nobody_can_be_called_at(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Encore(url, "key")
    assert "pw" not in str(caught.value)


def test_a_url_may_have_a_path() -> None:
    assert Address("https://example.com/encore/").prefix == "/encore"
    assert (Address("https://example.com").port, Address("http://[::1]:81/x?y").target) == (443, "/x?y")


Turn = Callable[[socket.socket, bytes], None]


class Script:
    """A server whose every request is met by the next turn; the last one stays. Counts requests and keeps bodies."""

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.bodies: list[bytes] = []
        self.connections = 0
        self.over = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            while body := self.read(connection):
                self.bodies.append(body)
                turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
                try:
                    turn(connection, body)
                except OSError:
                    return

    def read(self, connection: socket.socket) -> bytes:
        received = b""
        try:
            while b"\r\n\r\n" not in received:
                if not (part := connection.recv(65536)):
                    return b""
                received += part
            head, _, body = received.partition(b"\r\n\r\n")
            length = int(re.search(rb"Content-Length: (\d+)", head)[1])  # type: ignore[index]
            while len(body) < length:
                body += connection.recv(65536)
        except OSError:
            return b""
        return body


@contextmanager
def scripted(*turns: Turn) -> Iterator[Script]:
    script = Script(*turns)
    try:
        yield script
    finally:
        script.over.set()
        script.listener.close()


def answering(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def decided(connection: socket.socket, body: bytes) -> None:
    asked = msgspec.json.decode(body)
    answer = fallback(asked["decision_id"], code="test", detail="", now=NOW)
    connection.sendall(answering(200, msgspec.json.encode(msgspec.structs.replace(answer, recorded=True))))


def busy(connection: socket.socket, _: bytes) -> None:
    connection.sendall(answering(503, b"", "Retry-After: 0"))


def busy_for_an_hour(connection: socket.socket, _: bytes) -> None:
    connection.sendall(answering(503, b"", "Retry-After: 3600"))


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def reset_in_mid_answer(connection: socket.socket, _: bytes) -> None:
    connection.sendall(answering(200, b"x" * 1000)[:500])
    connection.shutdown(socket.SHUT_WR)


def test_it_asks_again_under_the_same_id() -> None:
    with (
        scripted(busy, reset, reset_in_mid_answer, decided) as script,
        Encore(script.url, "key", timeout=AMPLE) as encore,
    ):
        assert encore.decide(question()).recorded
        assert len(script.bodies) == 4
        assert len(set(script.bodies)) == 1
        assert encore.counts == {"decided": 1}


def test_connections_are_kept_and_closed_ones_are_not_used() -> None:
    def last(connection: socket.socket, body: bytes) -> None:
        decided(connection, body)
        connection.close()

    with scripted(decided, decided, last, decided) as script, Encore(script.url, "key", timeout=AMPLE) as encore:
        for n in range(4):
            assert encore.decide(question(decision_id=str(n))).recorded
        assert script.connections == 2


def hang(script_over: threading.Event) -> Turn:
    return lambda connection, _: script_over.wait(AMPLE) and None


def drip(script_over: threading.Event) -> Turn:
    """Send a byte now and then: each read of the client succeeds."""

    def turn(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not script_over.wait(0.02):
            connection.sendall(b"x")

    return turn


@pytest.mark.parametrize("slow", [hang, drip])
def test_a_server_that_takes_too_long(slow: Callable[[threading.Event], Turn]) -> None:
    with scripted(busy) as script:
        script.turns = [slow(script.over)]
        with Encore(script.url, "key", timeout=0.2, event_timeout=0.2) as encore:
            began = time.monotonic()
            assert encore.decide(question()).reasons[0].code == "timeout"
            with pytest.raises(Unreachable) as caught:
                encore.event(visit())
            # Without a deadline on the whole it would be `AMPLE`.
            assert time.monotonic() - began < AMPLE / 2
        assert caught.value.code == "timeout"
        assert encore.counts == {"timeout": 1}


def test_who_asks_for_more_patience_than_there_is_gets_no_second_question() -> None:
    with scripted(busy_for_an_hour) as script, Encore(script.url, "key", timeout=AMPLE) as encore:
        answer = encore.decide(question())
        assert (answer.reasons[0].code, len(script.bodies)) == ("unreachable", 1)
        assert "503" in answer.reasons[0].detail


@pytest.mark.parametrize(
    "garbage",
    [
        answering(200, b"<html>"),
        answering(200, b'{"decision_id": "x"}'),
        answering(200, b"\xff"),
        answering(200, b"[" * 100_000),
        answering(200, msgspec.json.encode(fallback("another", code="", detail="", now=NOW))),
        answering(404, b"not here"),
        answering(302, b"", "Location: http://127.0.0.1:1/"),
        answering(500, b""),
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_garbage_is_control(garbage: bytes) -> None:
    def turn(connection: socket.socket, _: bytes) -> None:
        connection.sendall(garbage)
        connection.close()

    with scripted(turn) as script, Encore(script.url, "key", timeout=1.0, event_timeout=1.0) as encore:
        assert encore.decide(question()).reasons[0].code == "unreachable"
        with pytest.raises(Unreachable):
            encore.events([visit()])


def test_after_failures_in_a_row_customers_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(busy_for_an_hour) as script, Encore(script.url, "key", timeout=AMPLE) as encore:
        monkeypatch.setattr("decision.client.TRY_EVERY", 3600.0)
        for _ in range(10):
            assert encore.decide(question()).reasons[0].code == "unreachable"
        assert len(script.bodies) == 6, "five failures, then one try an hour"
        script.turns = [decided]
        monkeypatch.setattr("time.monotonic", lambda at=time.monotonic: at() + 3601)
        assert all(encore.decide(question()).recorded for _ in range(3))
        assert encore.counts == {"unreachable": 10, "decided": 3}


def test_importing_it_is_light(tmp_path: Path) -> None:
    code = "import sys, decision.client; print([m for m in ('flask', 'numpy', 'sqlite3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_works_as_written(server: Server, ledger: SqliteLedger) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(blocks) >= 3
    names: dict[str, Any] = {}
    for code in blocks:
        here = code.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{server.port}").replace("encore_…", server.key)
        exec(here.replace("timeout=0.5", f"timeout={AMPLE}"), names)
    assert names["answer"].recorded
    assert ledger.decision(names["answer"].decision_id) is not None
    assert ledger.customer("C-1001").orders == 1
