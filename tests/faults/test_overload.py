"""More questions than a server can take on: some are answered 503 at once, the others as ever."""

import fcntl
import os
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any
from urllib.error import HTTPError

from decision.limits import AT_ONCE
from decision.wiring import Home
from tests.api.test_real_server import question, serving

WAITING = 3
WORKERS = 2


def test_past_its_places_it_sheds_and_health_still_answers(home: Home, monkeypatch: Any) -> None:
    monkeypatch.setenv("ENCORE_WAITING", str(WAITING))
    with serving(home) as server, ThreadPoolExecutor(64) as pool:
        # Nobody can write, so that whoever is let in stays.
        descriptor = os.open(home.root / "ledger.db.lock", os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

        def ask(n: int) -> tuple[int, str | None]:
            try:
                return 200 if server.call("/v1/decisions", question(n))["recorded"] else 0, None
            except HTTPError as error:
                with error:
                    return error.code, error.headers["Retry-After"]

        asked = [pool.submit(ask, n) for n in range(64)]
        # Each process, of which the second may still be starting, works on some and lets a few more wait.
        wait(asked, timeout=0.5)
        assert server.call("/livez") == {"status": "ok"}
        assert server.call("/readyz")["status"] == "ok"
        os.close(descriptor)
        found = [one.result() for one in asked]
    let_in = found.count((200, None))
    assert AT_ONCE + WAITING <= let_in <= WORKERS * (AT_ONCE + WAITING)
    assert found.count((503, "1")) == 64 - let_in
