"""Outgoing webhooks: a real receiver that verifies with the official library, and faults that happen for real."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from decision import webhook_secrets
from decision.errors import InvalidInput, LedgerError, NotFound
from decision.ledger.sqlite import SqliteLedger
from decision.records import Decision
from decision.sender import Sender
from decision.stages.delivery import ATTEMPTS, LATEST, Delivery, Endpoint, Reply, State, after, quiet_until
from decision.stages.signing import Secret, headers, secret_of, valid
from decision.wiring import Home, Shop, utc_now
from tests import support
from tests.api.test_cli import encore
from tests.support import DAY, NOW, SECOND, decided, outcome

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
AMPLE = 20.0
JUST_NOW = utc_now() - timedelta(minutes=1)


class Receiver:
    """An HTTP server that keeps what it gets, and answers the statuses it is told to, the last one for good."""

    def __init__(self) -> None:
        self.statuses: list[int] = [200]
        self.headers: dict[str, str] = {}
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.hangs = False
        self.over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((dict(self.headers.items()), body))
                if outer.hangs:
                    outer.over.wait(AMPLE)
                    return
                status = outer.statuses.pop(0) if len(outer.statuses) > 1 else outer.statuses[0]
                self.send_response(status)
                self.send_header("Content-Length", "0")
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ids(self) -> list[str]:
        return [found["webhook-id"] for found, _ in self.got]


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.over.set()
        receiver.server.shutdown()
        receiver.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def ledger(home: Home) -> Iterator[SqliteLedger]:
    ledger = home.ledger()
    yield ledger
    ledger.close()


def add(home: Home, receiver: Receiver, *channels: str, name: str = "mailer") -> str:
    options = [part for channel in channels or ("email",) for part in ("--channel", channel)]
    done = encore(home, "webhooks", "add", name, receiver.url, *options)
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def write(ledger: SqliteLedger, decision_id: str = "d.1", action: str = "discount@email", **changes: Any) -> Decision:
    changes = {"at": JUST_NOW, "customer_id": decision_id, "context": {"order_total": 60.0}} | changes
    decision = decided(action, decision_id=decision_id, **changes)
    ledger.record_decision(decision, (), seen_version=0)
    return decision


def send(home: Home, ledger: SqliteLedger, *, at: datetime | None = None) -> None:
    sender = Sender(home, ledger, clock=lambda: at or utc_now(), rng=random.Random(1))
    sender.round()
    sender.finish()


def only(ledger: SqliteLedger, decision_id: str = "d.1") -> Delivery:
    (one,) = ledger.outbox.of(decision_id)
    return one


def test_a_decision_reaches_the_system_that_delivers_it(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    write(ledger, "before")
    secret = add(home, receiver)
    decision = write(ledger)
    write(ledger, "page", "discount@on_page")
    write(ledger, "nothing", "control")
    send(home, ledger)
    send(home, ledger)
    ((found, body),) = receiver.got
    message = Webhook(secret).verify(body, found)
    assert message["type"] == "decision.made"
    assert datetime.fromisoformat(message["timestamp"]) == decision.decided_at
    data = message["data"]
    assert (data["decision_id"], data["customer_id"], data["order_id"]) == ("d.1", "d.1", "o-1")
    assert (data["action"]["channel"], data["action"]["kind"], data["action"]["coupon"]) == (
        "email",
        "percent_discount",
        "COUPON",
    )
    assert data["action"]["terms"]["percent"] == 10
    assert re.fullmatch(r"msg_[0-9a-f]{32}", found["webhook-id"])
    assert (only(ledger).state, only(ledger).attempts, only(ledger).note) == (State.DELIVERED, 1, "status 200")
    shop = Shop(home)
    (receipt,) = support.client_of(shop).get("/v1/decisions/d.1").get_json()["deliveries"]
    assert (receipt["endpoint"], receipt["state"], receipt["attempts"]) == ("mailer", "delivered", 1)


def test_the_signature_is_that_of_the_official_library() -> None:
    secret = Secret(bytes(range(32)))
    at = utc_now()
    found = headers([secret], message_id="msg_1", at=at, body=b'{"a": 1}')
    official = Webhook(secret.text)
    assert official.sign("msg_1", at.replace(tzinfo=None), '{"a": 1}') == found["webhook-signature"]
    assert secret_of(secret.text) == secret
    assert secret.text not in repr(secret)


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_AAAA", "whsec_!", "a" * 40, "whsec_" + "A" * 400])
def test_a_bad_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        secret_of(text)
    assert text == "" or text in ("whsec_",) or text not in str(caught.value)


def test_while_a_secret_is_replaced_both_verify(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    old = add(home, receiver)
    new = encore(home, "webhooks", "rotate", "mailer").stdout.strip()
    assert old != new
    write(ledger)
    send(home, ledger)
    ((found, body),) = receiver.got
    for secret in (old, new):
        assert Webhook(secret).verify(body, found)
    kept = webhook_secrets.read(home.root, "mailer", environment={})
    assert [s.text for s in valid(kept, utc_now() + 2 * DAY)] == [new]
    assert encore(home, "webhooks", "rotate", "mailer", "--overlap-hours", "0").exit_code == 0
    assert len(webhook_secrets.read(home.root, "mailer", environment={})) == 1
    path = webhook_secrets.path_of(home.root, "mailer")
    assert path.stat().st_mode & 0o077 == 0
    given = webhook_secrets.read(home.root, "mailer", environment={"ENCORE_WEBHOOK_SECRET_MAILER": f"{new} {old}"})
    assert [secret.text for secret in given] == [new, old]
    path.unlink()
    with pytest.raises(NotFound, match="ENCORE_WEBHOOK_SECRET_MAILER"):
        webhook_secrets.read(home.root, "mailer", environment={})
    assert not {old, new} & {str(value) for act in ledger.acts() for value in act.detail.values()}


def test_what_fails_is_sent_again_under_the_same_id(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    secret = add(home, receiver)
    write(ledger)
    receiver.statuses = [500, 302, 200]
    now = utc_now()
    for wait in (0, 10, 60):
        send(home, ledger, at=now + wait * SECOND)
    assert len(set(receiver.ids())) == 1
    assert [int(found["webhook-timestamp"]) for found, _ in receiver.got] == [
        int((now + wait * SECOND).timestamp()) for wait in (0, 10, 60)
    ]
    assert len({body for _, body in receiver.got}) == 1
    assert Webhook(secret).verify(receiver.got[-1][1], receiver.got[-1][0])
    assert (only(ledger).state, only(ledger).attempts) == (State.DELIVERED, 3)


def test_it_gives_up_after_ten_attempts_and_can_be_asked_to_retry(
    home: Home, ledger: SqliteLedger, receiver: Receiver
) -> None:
    add(home, receiver)
    write(ledger)
    receiver.statuses = [400]
    now = utc_now()
    while only_or_none(ledger) is None or only(ledger).state is State.WAITING:
        send(home, ledger, at=now)
        now = max(now, only(ledger).due_at)
    assert (only(ledger).state, len(receiver.got)) == (State.DEAD, ATTEMPTS)
    assert now - utc_now() < LATEST
    assert "d.1  10  status 400" in encore(home, "webhooks", "dead").output
    receiver.statuses = [200]
    assert encore(home, "webhooks", "retry", "d.1").output == "1 to be sent again.\n"
    send(home, ledger)
    assert (only(ledger).state, len(set(receiver.ids()))) == (State.DELIVERED, 1)
    assert encore(home, "webhooks", "retry", "d.1").exit_code == 2
    assert encore(home, "webhooks", "retry").exit_code == 2


def only_or_none(ledger: SqliteLedger) -> Delivery | None:
    return next(iter(ledger.outbox.of("d.1")), None)


def test_an_endpoint_that_is_gone_is_stopped(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    add(home, receiver)
    write(ledger)
    receiver.statuses = [410]
    send(home, ledger)
    assert ledger.outbox.endpoints()[0].stopped == "it answered 410 Gone"
    write(ledger, "d.2")
    send(home, ledger)
    assert len(receiver.got) == 1
    receiver.statuses = [200]
    assert encore(home, "webhooks", "start", "mailer").exit_code == 0
    send(home, ledger, at=utc_now() + 60 * SECOND)
    assert {only(ledger, name).state for name in ("d.1", "d.2")} == {State.DELIVERED}
    assert [act.act for act in ledger.acts()] == ["webhook added", "webhook stopped", "webhook started"]


def test_an_endpoint_that_fails_is_left_alone_and_nothing_is_lost(
    home: Home, ledger: SqliteLedger, receiver: Receiver
) -> None:
    add(home, receiver)
    for n in range(30):
        write(ledger, f"d.{n}")
    receiver.statuses, receiver.headers = [503], {"Retry-After": "600"}
    sender = Sender(home, ledger, clock=utc_now, rng=random.Random(1))
    for _ in range(3):
        sender.round()
        sender.finish()
    assert len(receiver.got) == 8, "one group, and then no more until it has recovered"
    assert min(only(ledger, f"d.{n}").due_at for n in range(8)) >= utc_now() + 590 * SECOND
    receiver.statuses = [200]
    send(home, ledger, at=utc_now() + timedelta(hours=1))
    assert {only(ledger, f"d.{n}").state for n in range(30)} == {State.DELIVERED}


def test_a_slow_endpoint_keeps_no_other_waiting(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    with receiving() as slow:
        slow.hangs = True
        add(home, receiver)
        add(home, slow, name="slow")
        write(ledger)
        sender = Sender(home, ledger, clock=utc_now, rng=random.Random(1))
        sender.round()
        deadline = time.monotonic() + AMPLE / 2
        while not (receiver.got and slow.got) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (len(receiver.got), len(slow.got)) == (1, 1)
        slow.over.set()
        sender.finish()


def cancelled(at: datetime) -> Any:
    return outcome("Order Cancelled", at, customer_id="d.1", order_id="o-1")


def refunded(at: datetime, **facts: Any) -> Any:
    return outcome("Order Refunded", at, customer_id="d.1", order_id="o-1", **facts)


@pytest.mark.parametrize(
    ("happened", "changes", "state"),
    [
        ([cancelled(JUST_NOW + SECOND)], {}, State.WITHHELD),
        ([refunded(JUST_NOW + SECOND)], {}, State.WITHHELD),
        ([refunded(JUST_NOW + SECOND, revenue=20.0)], {}, State.DELIVERED),
        ([refunded(JUST_NOW, revenue=20.0), refunded(JUST_NOW + SECOND, revenue=40.0)], {}, State.WITHHELD),
        ([refunded(JUST_NOW)], {"trigger": "return"}, State.DELIVERED),
        ([outcome("Unsubscribed", JUST_NOW, customer_id="d.1", channel="email")], {}, State.WITHHELD),
        ([outcome("Unsubscribed", JUST_NOW, customer_id="d.1")], {}, State.WITHHELD),
        ([outcome("Unsubscribed", JUST_NOW, customer_id="d.1", channel="sms")], {}, State.DELIVERED),
        ([], {"expires_at": JUST_NOW + SECOND}, State.WITHHELD),
        ([], {"at": utc_now() - LATEST - SECOND}, State.DEAD),
    ],
)
def test_what_happened_meanwhile_is_respected(
    home: Home, receiver: Receiver, happened: list[Any], changes: dict[str, Any], state: State
) -> None:
    ledger = home.ledger()
    add(home, receiver)
    write(ledger, **changes)
    ledger.record_outcomes(happened, now=utc_now())
    send(home, ledger)
    assert only(ledger).state is state
    assert len(receiver.got) == (state is State.DELIVERED)
    ledger.close()


def test_quiet_hours_are_waited_for(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    night = (utc_now() + DAY).replace(hour=2, minute=0, second=0, microsecond=0)
    add(home, receiver, "sms")
    write(ledger, action="discount@sms")
    send(home, ledger, at=night)
    waiting = only(ledger)
    assert (waiting.state, waiting.attempts, waiting.note, receiver.got) == (State.WAITING, 0, "quiet hours", [])
    assert night < waiting.due_at <= night + 12 * timedelta(hours=1)
    send(home, ledger, at=waiting.due_at)
    assert only(ledger).state is State.DELIVERED
    shop = support.programme()
    evening = NOW.replace(hour=21)
    end = quiet_until(decided("discount@sms"), shop, now=evening)
    assert end == (evening + DAY).replace(hour=7), "22:00 to 08:00 in Berlin"
    assert quiet_until(decided("discount@sms"), shop, now=NOW) is None


def test_waits_grow_and_attempts_end() -> None:
    delivery = Delivery("mailer", "d", State.WAITING, 0, NOW, NOW, NOW)
    waits = []
    while delivery.state is State.WAITING:
        delivery = after(delivery, Reply(500, "status 500"), now=NOW, jitter=0.5)
        waits.append((delivery.due_at - NOW).total_seconds())
    assert waits == [5, 20, 80, 320, 1280, 5120, 20480, 43200, 43200, 43200]
    assert (delivery.state, delivery.attempts) == (State.DEAD, ATTEMPTS)
    asked = after(replace(delivery, attempts=0), Reply(429, "", timedelta(days=30)), now=NOW, jitter=0.0)
    assert asked.due_at == NOW + DAY


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["mailer", "http://mail.example.com", "--channel", "email"], "Expected a URL with https, found http."),
        (["mailer", "https://u:pw@mail.example.com", "--channel", "email"], "without a user"),
        (["mailer", "file:///etc/passwd", "--channel", "email"], "Expected a URL such as"),
        (["mailer", "https://mail.example.com", "--channel", "on_page"], "What is on the page is shown by who asked."),
        (["mailer", "https://mail.example.com", "--channel", "emial"], "did you mean 'email'?"),
        (["../x", "https://mail.example.com", "--channel", "email"], "Expected a name of up to 40"),
    ],
)
def test_an_endpoint_that_can_not_be(home: Home, arguments: list[str], sentence: str) -> None:
    done = encore(home, "webhooks", "add", *arguments)
    assert done.exit_code == 2
    assert sentence in done.output
    assert "pw" not in done.output.replace("passwd", "")
    assert encore(home, "webhooks", "list").output == ""


def test_commands(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    receiver.url += "?token=hidden"
    secret = add(home, receiver, "email", "sms")
    assert encore(home, "webhooks", "test", "mailer").output == "mailer answered: status 200.\n"
    ((found, body),) = receiver.got
    assert Webhook(secret).verify(body, found)["type"] == "encore.test"
    receiver.statuses = [500]
    assert "found status 500" in encore(home, "webhooks", "test", "mailer").output
    listed = encore(home, "webhooks", "list").output
    assert "0 waiting, 0 delivered, 0 withheld, 0 dead" in listed
    assert "hidden" not in listed + encore(home, "audit").output
    assert encore(home, "webhooks", "test", "nobody").exit_code == 2
    assert encore(home, "webhooks", "add", "mailer", receiver.url, "--channel", "email").exit_code == 2
    with home.sending(), pytest.raises(LedgerError, match="no other sender"), home.sending():
        pass


def test_a_killed_sender_sends_again_under_the_same_id(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    add(home, receiver)
    for n in range(5):
        write(ledger, f"d.{n}")
    receiver.hangs = True
    command = [sys.executable, "-m", "decision.cli", "--home", str(home.root), "webhooks", "send"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + AMPLE
        while len(receiver.got) < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    first = receiver.ids()
    receiver.hangs = False
    receiver.over.set()
    assert subprocess.run([*command, "--once"], check=False, timeout=AMPLE).returncode == 0
    again = receiver.ids()[len(first) :]
    assert (len(set(first)), sorted(again)) == (5, sorted(first))
    assert {only(ledger, f"d.{n}").state for n in range(5)} == {State.DELIVERED}


def test_decisions_of_many_writers_are_all_told_once(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    add(home, receiver)
    halt = threading.Event()
    sender = Sender(home, ledger, clock=utc_now, rng=random.Random(1))

    def work() -> None:
        while not halt.is_set():
            sender.round()
            sender.finish()

    def ask(k: int) -> None:
        for n in range(20):
            write(ledger, f"w.{k}.{n}")

    follower = threading.Thread(target=work)
    follower.start()
    writers = [threading.Thread(target=ask, args=[k]) for k in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    halt.set()
    follower.join()
    send(home, ledger)
    told = [json.loads(body)["data"]["decision_id"] for _, body in receiver.got]
    assert sorted(told) == sorted(f"w.{k}.{n}" for k in range(6) for n in range(20))


def test_an_endpoint_by_hand_is_known_by_its_name(ledger: SqliteLedger) -> None:
    with pytest.raises(InvalidInput):
        Endpoint("Mailer", "https://x", ("email",), NOW)
    with pytest.raises(NotFound):
        ledger.outbox.stop("nobody", reason="x", actor="me", now=NOW)


def test_the_page_verifies(home: Home, ledger: SqliteLedger, receiver: Receiver) -> None:
    secret = add(home, receiver)
    write(ledger)
    send(home, ledger)
    ((found, body),) = receiver.got
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace("whsec_…", secret), names)
    assert names["received"](found, body) == 204
    assert names["received"](found, body) == 204
    assert names["sent"] == [("d.1", "COUPON")]
    assert names["received"](found, body.replace(b"d.1", b"d.2")) == 401
