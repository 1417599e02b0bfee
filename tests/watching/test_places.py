"""Places in which processes count: taken once, given back by death, cleared only where nobody lives."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from decision.errors import EncoreError
from decision.watching import places

COUNT = """
import sys
from pathlib import Path
from decision.watching.metrics import Metrics
from decision.watching.places import take
place = take(Path(sys.argv[1]))
metrics = Metrics(place)
metrics.begin()
for _ in range(int(sys.argv[2])):
    metrics.survived("Flood")
print(place.number, flush=True)
sys.stdin.read()
"""


def process(folder: Path, times: int) -> tuple[subprocess.Popen[str], int]:
    """Return a process that has counted so many faults and one request that it never ends, and its place."""
    started = subprocess.Popen(
        [sys.executable, "-c", COUNT, str(folder), str(times)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout is not None
    return started, int(started.stdout.readline())


def end(started: subprocess.Popen[str]) -> None:
    started.kill()
    started.communicate()


def counted(folder: Path) -> tuple[float, float]:
    """Return the faults and the requests in flight that all processes together have."""
    code = (
        "import sys; from pathlib import Path; from decision.watching.places import take\n"
        "from decision.watching.metrics import Metrics\n"
        "print(Metrics(take(Path(sys.argv[1]))).text('')[0].decode())"
    )
    text = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    found = dict(line.rsplit(" ", 1) for line in text if not line.startswith("#") and line)
    return float(found['encore_faults_total{fault="Flood"}']), float(found["encore_http_requests_in_flight"])


def test_a_killed_process_is_followed_in_its_place_with_its_counts_and_without_its_requests(tmp_path: Path) -> None:
    first, place = process(tmp_path, 3)
    second, other = process(tmp_path, 4)
    assert (place, other) == (0, 1)
    end(first)
    third, again = process(tmp_path, 5)
    assert again == 0
    assert counted(tmp_path) == (12.0, 2.0)
    end(second)
    end(third)
    assert counted(tmp_path) == (12.0, 1.0), "the asker took one place; what held the other is not known to be over"
    assert len(list(tmp_path.glob("*.db"))) == 3 * 3


def test_clearing_leaves_the_living_alone(tmp_path: Path) -> None:
    living, _ = process(tmp_path, 3)
    dead, _ = process(tmp_path, 4)
    end(dead)
    places.clear(tmp_path)
    assert counted(tmp_path) == (3.0, 1.0)
    end(living)


def test_files_are_whole_from_the_start(tmp_path: Path) -> None:
    """A page that finds no room when it is touched first would kill its process."""
    place = places.take(tmp_path)
    for path, size in zip(place.files(), places.SIZES.values(), strict=True):
        assert path.stat().st_size == size
        assert path.stat().st_blocks * 512 >= size
    place.release()


def test_the_folder_is_private_and_another_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = places.prepared(tmp_path / "metrics")
    assert stat.S_IMODE(folder.stat().st_mode) & 0o077 == 0
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(EncoreError, match="found another's"):
        places.prepared(tmp_path / "link")
    monkeypatch.setattr(os, "getuid", lambda: 12_345)
    with pytest.raises(EncoreError, match=places.VARIABLE):
        places.prepared(folder)


def test_homes_have_folders_of_their_own_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(places.VARIABLE, raising=False)
    here = places.folder_of(tmp_path)
    assert here != places.folder_of(tmp_path / "other")
    assert here == places.folder_of(tmp_path / "x" / "..")
    assert not here.is_relative_to(tmp_path), "a full disk of the home must not be felt"
    monkeypatch.setenv(places.VARIABLE, str(tmp_path / "named"))
    assert places.folder_of(tmp_path) == tmp_path / "named"
