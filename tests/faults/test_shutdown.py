"""A server that is told to stop in the middle of load finishes what it has taken."""

import subprocess
import sys
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


TOLD = """
import os, signal, time
from decision.server import CloseWhenTold

def answer(environ, start_response):
    start_response("200 OK", [("X-A", "1")])
    return [b""]

def headers():
    found = []
    app({}, lambda line, headers, *failure: found.extend(headers))
    return found

signal.signal(signal.SIGTERM, lambda number, frame: None)
app = CloseWhenTold(answer)
assert headers() == [("X-A", "1")]
for _ in range(100):
    os.kill(os.getpid(), signal.SIGTERM)
until = time.monotonic() + 20
while len(headers()) == 1 and time.monotonic() < until:
    time.sleep(0.01)
print(headers())
listens = signal.set_wakeup_fd(-1)
signal.set_wakeup_fd(listens)
CloseWhenTold(answer)
assert signal.set_wakeup_fd(-1) == listens, "another's was taken away"
"""


def test_answers_end_connections_once_a_worker_is_told_to_stop() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "[('X-A', '1'), ('Connection', 'close')]\n"
