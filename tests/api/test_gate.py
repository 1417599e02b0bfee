"""Past its places a process turns requests away at once; those it has let in are answered."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from decision.api.gate import Gate
from decision.limits import Limits
from decision.watching.middleware import Watched
from decision.wiring import Home, Shop
from tests import support
from tests.api.test_api_decisions import question

AGES = 20.0


class Slow:
    """An application whose requests stay inside until they are let go."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.go = threading.Event()
        self.now, self.most = 0, 0
        self._count = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        with self._count:
            self.now += 1
            self.most = max(self.most, self.now)
        self.inside.release()
        assert self.go.wait(AGES)
        with self._count:
            self.now -= 1
        if environ["PATH_INFO"] == "/broken":
            raise ZeroDivisionError
        start_response("200 OK", [])
        return [b"{}"]


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


def ask(gate: Gate, path: str = "/v1/decisions") -> tuple[str, dict[str, str], bytes]:
    head: list[Any] = []
    body = b"".join(gate({"PATH_INFO": path}, lambda *found: head.extend(found)))
    return head[0], dict(head[1]), body


def test_so_many_at_once_so_many_waiting_and_the_rest_turned_away(pool: ThreadPoolExecutor) -> None:
    app, shed = Slow(), []
    gate = Gate(app, Limits(deadline_seconds=AGES, at_once=2, waiting=3), shed=lambda _: shed.append(1))
    let_in = [pool.submit(ask, gate) for _ in range(2)]
    for _ in let_in:
        assert app.inside.acquire(timeout=AGES)
    let_in += [pool.submit(ask, gate) for _ in range(3)]
    while gate._places:
        pass
    status, headers, body = ask(gate)
    assert status.startswith("503")
    assert headers["Retry-After"] == "1"
    assert json.loads(body)["type"] == "urn:encore:problem:overloaded"
    app.go.set()
    assert [one.result(AGES)[0] for one in let_in] == ["200 OK"] * 5
    assert (len(shed), app.most) == (1, 2)
    assert ask(gate)[0] == "200 OK"


def test_who_waits_in_vain_is_turned_away_by_the_deadline(pool: ThreadPoolExecutor) -> None:
    app = Slow()
    gate = Gate(app, Limits(deadline_seconds=0.05, at_once=1, waiting=5), shed=lambda _: None)
    first = pool.submit(ask, gate)
    assert app.inside.acquire(timeout=AGES)
    assert [one.result(AGES)[0][:3] for one in [pool.submit(ask, gate) for _ in range(4)]] == ["503"] * 4
    app.go.set()
    assert first.result(AGES)[0] == "200 OK"


def test_health_is_always_let_in(pool: ThreadPoolExecutor) -> None:
    app = Slow()
    gate = Gate(app, Limits(deadline_seconds=AGES, at_once=1, waiting=0), shed=lambda _: None)
    busy = pool.submit(ask, gate)
    assert app.inside.acquire(timeout=AGES)
    health = [pool.submit(ask, gate, path) for path in ("/livez", "/readyz")]
    for _ in health:
        assert app.inside.acquire(timeout=AGES)
    app.go.set()
    assert [one.result(AGES)[0] for one in (busy, *health)] == ["200 OK"] * 3


def test_a_request_that_fails_gives_its_place_back() -> None:
    app = Slow()
    app.go.set()
    gate = Gate(app, Limits(at_once=1, waiting=0), shed=lambda _: None)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            ask(gate, "/broken")
    assert ask(gate)[0] == "200 OK"


def test_what_is_shed_is_counted(home: Home) -> None:
    shop = Shop(home, Limits(at_once=1, waiting=0))
    client = support.client_of(shop)
    assert client.post("/v1/decisions", json=question()).status_code == 200
    watched = client.application.wsgi_app
    assert isinstance(watched, Watched)
    shop_gate = watched._app
    assert isinstance(shop_gate, Gate)
    place = shop_gate._places.pop()
    response = client.post("/v1/decisions", json=question())
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    shop_gate._places.append(place)
    assert client.get("/readyz").get_json()["faults"] == {"Shed": 1}
