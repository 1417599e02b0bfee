"""A lock on a file: one holder at a time, those who wait give up in time, and nothing stays held behind them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from decision.locks import FileLock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture(autouse=True)
def _leaves_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    # Threads come and go all the time, which is where one could be sent that has just left.
    monkeypatch.setattr("decision.locks.IDLE_SECONDS", 0.001)


def until_quiet() -> None:
    """Wait until nobody is left waiting in the background."""
    for thread in threading.enumerate():
        if thread.name == "lock":
            thread.join(timeout=5)


def test_one_holder_at_a_time(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(patience=0.0)
    assert not other.acquire(patience=0.05)
    one.release()
    assert other.acquire(patience=5.0)
    assert not one.acquire(patience=0.05)


def test_who_waits_is_served_as_soon_as_it_is_free(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(patience=0.0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.acquire, patience=30.0)
        time.sleep(0.05)
        assert not waiting.done()
        one.release()
        assert waiting.result(timeout=5)


def test_who_gave_up_keeps_nobody_out(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(patience=0.0)
    assert not other.acquire(patience=0.01)
    one.release()
    until_quiet()
    assert one.acquire(patience=0.0)


def test_who_comes_back_takes_over_where_she_gave_up_and_leaves_no_second_thread(path: Path) -> None:
    one, other = FileLock(path), FileLock(path)
    assert one.acquire(patience=0.0)
    before = threading.active_count()
    for _ in range(20):
        assert not other.acquire(patience=0.001)
    assert threading.active_count() == before + 1
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(other.acquire, patience=30.0)
        one.release()
        assert waiting.result(timeout=5)
    assert not one.acquire(patience=0.01)
    other.release()
    until_quiet()


def test_an_idle_thread_waits_for_the_next(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decision.locks.IDLE_SECONDS", 0.5)
    one, other = FileLock(path), FileLock(path)
    waited = set()
    for _ in range(20):
        assert one.acquire(patience=0.0)
        assert not other.acquire(patience=0.001)
        waited |= {thread.ident for thread in threading.enumerate() if thread.name == "lock"}
        one.release()
        assert other.acquire(patience=5.0)
        other.release()
    assert len(waited) == 1
    until_quiet()
    assert "lock" not in {thread.name for thread in threading.enumerate()}


def test_a_crowd_never_overlaps_and_all_are_served(path: Path) -> None:
    """Each thread gives up now and then, which is where a lock could be lost or had twice."""
    inside, most, served = 0, 0, [0] * 8

    def come(number: int) -> None:
        nonlocal inside, most
        lock = FileLock(path)
        while served[number] < 40:
            if lock.acquire(patience=0.001 * (number % 4)):
                inside += 1
                most = max(most, inside)
                time.sleep(0.0003)
                inside -= 1
                served[number] += 1
                lock.release()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come, range(8), timeout=60))
    assert (most, served) == (1, [40] * 8)
    until_quiet()
    assert FileLock(path).acquire(patience=0.0)
