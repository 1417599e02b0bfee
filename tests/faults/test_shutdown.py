"""A server that is told to stop in the middle of load finishes what it has taken."""

import threading
import time
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from json import dumps, loads

from decision.wiring import Home
from tests.api.test_real_server import SECONDS, Server, question, serving

TILLS = 12


def test_whatever_was_written_was_answered(home: Home) -> None:
    for _ in range(3):
        with serving(home) as server:
            answered = asked_until_it_ends(server)
            server.process.terminate()
            assert server.process.wait(timeout=SECONDS) == 0, server.text()
            for thread in threading.enumerate():
                if thread.name == "till":
                    thread.join(timeout=SECONDS)
            assert "Killing" not in server.text()
        with closing(home.ledger()) as ledger:
            held = {row["decision_id"] for row in ledger.rows("decisions")}
        assert len(answered) > TILLS
        assert held - seen == answered, "taken and not answered, or the other way round"
        seen.update(held)


seen: set[str] = set()


def asked_until_it_ends(server: Server) -> set[str]:
    """Let tills ask until their connections end; return the ids that they have heard of, which goes on growing."""
    answered: set[str] = set()

    def till(name: str) -> None:
        connection = HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        try:
            for number in range(10_000):
                body = question() | {"customer_id": f"{name}-{number}"}
                connection.request("POST", "/v1/decisions", dumps(body), server.headers)
                found = loads(connection.getresponse().read())
                assert found["recorded"]
                answered.add(found["decision_id"])
        except (OSError, HTTPException, ValueError):
            return
        finally:
            connection.close()

    for number in range(TILLS):
        threading.Thread(target=till, args=(str(number),), name="till", daemon=True).start()
    end = time.monotonic() + SECONDS
    while len(answered) < 10 * TILLS and time.monotonic() < end:
        time.sleep(0.01)
    return answered
