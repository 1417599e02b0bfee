"""A disk that is really full: control with a reason, nothing half written, and all is well once there is space."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from decision.wiring import Home
from tests.api.test_real_server import SECONDS, Server, question, serving
from tests.support import PROGRAMME


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Home]:
    """A home on a disk of its own, of four megabytes."""
    root = tmp_path / "small"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(root)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        home = Home(root)
        home.programme_path.write_text(PROGRAMME)
        yield home
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)


def fill(path: Path) -> None:
    """Write until not a byte more goes in."""
    with path.open("wb", buffering=0) as ballast:
        for size in (4096, 1):
            with pytest.raises(OSError, match="No space left"):
                go_on_writing(ballast, size)


def go_on_writing(file: FileIO, size: int) -> None:
    while True:
        file.write(bytes(size))


def test_a_full_disk(small: Home) -> None:
    with serving(small) as server:
        made = [server.call("/v1/decisions", question(n))["decision_id"] for n in range(20)]
        fill(small.root / "ballast")
        refused = []
        for n in range(100, 160):
            answer = server.call("/v1/decisions", question(n) | {"decision_id": f"d-{n}"})
            if answer["recorded"]:
                # What is left of the log's last pages.
                made.append(answer["decision_id"])
                continue
            assert answer["action"]["action_id"] == "control"
            assert answer["reasons"][0]["code"] == "fault"
            refused.append(answer["decision_id"])
        assert len(refused) > 10
        assert refused_events(server) == 503
        assert "can't be written" in unready(server)
        (small.root / "ballast").unlink()
        assert counted(server) > 0
        again = server.call("/v1/decisions", question(159) | {"decision_id": refused[-1]})
        assert again["recorded"]
        made.append(refused.pop())
    with closing(small.ledger()) as ledger:
        assert sorted(made) == sorted(row["decision_id"] for row in ledger.rows("decisions"))
        assert ledger.counts()["unfinished"] == len(made)
        assert ledger.counts()["outcomes"] == 0
    with closing(sqlite3.connect(small.ledger_path)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def refused_events(server: Server) -> int:
    # Larger than what may be left of a page.
    event = {
        "event": "Order Completed",
        "customer_id": "c-0",
        "timestamp": "2026-03-01T10:00:00Z",
        "properties": {"order_id": "o", "revenue": "1.00", "note": "x" * 100_000},
    }
    with pytest.raises(HTTPError) as caught:
        server.call("/v1/events", event)
    caught.value.close()
    return caught.value.code


def counted(server: Server) -> int:
    """Return how many faults the processes have counted, asking often enough to hear of each."""
    return max(sum(health(server)["faults"].values()) for _ in range(2 * (os.cpu_count() or 1)))


def unready(server: Server) -> str:
    """Return why a process says that it is not ready; one that was asked just before says so within a second."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            server.call("/readyz")
        except HTTPError as error:
            with error:
                if error.code == 503:
                    return error.read().decode()
                raise
        time.sleep(0.05)
    raise AssertionError("it is ready")


def health(server: Server) -> Any:
    """Return what a process says of itself; one that was asked while the disk was full says so for a second more."""
    end = time.monotonic() + SECONDS
    while True:
        try:
            return server.call("/readyz")
        except HTTPError as error:
            error.close()
            assert time.monotonic() < end
            time.sleep(0.05)
