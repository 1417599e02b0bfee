"""Results that were computed before, one JSON file each: a rerun computes only what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import experiments
from experiments.bench.peer_environment import cache_folder
from experiments.whole_file import whole_file


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of results of one benchmark; `fresh` computes everything anew."""

    folder: Path
    fresh: bool

    @classmethod
    def of(cls, benchmark: str, *, fresh: bool) -> Kept:
        """Return the results of a benchmark in the user's cache."""
        return cls(cache_folder() / "results" / benchmark, fresh)

    def get(self, key: Mapping[str, Any], compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result under a key, computed unless it is there."""
        text = json.dumps(key, sort_keys=True)
        path = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
        if path.exists() and not self.fresh:
            found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["result"]
            return found
        result = compute()
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as unfinished:
            unfinished.write_text(json.dumps({"key": key, "result": result}), encoding="utf-8")
        return result


def digest(*paths: Path) -> str:
    """Return a hash over Python files; of a folder, over all that are in it."""
    hashed = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*.py")) if path.is_dir() else (path,):
            hashed.update(file.read_bytes())
    return hashed.hexdigest()[:16]


def code_of(module: str, *, runner: str) -> str:
    """Return a hash over what a result depends on: a peer's file and the runner, or all of Encore for its own entry."""
    bench = Path(__file__).parent
    shared = (bench / "protocol.py", bench / "peers" / f"{runner}.py")
    if ".peers." in module:
        # One peer's file uses another's small helpers.
        return digest(*shared, bench / "peers" / f"{module.rsplit('.', 1)[-1]}.py", bench / "peers" / "hurdle.py")
    root = Path(experiments.__file__).parent
    rooms = (room for room in sorted(root.iterdir()) if room != bench and (room.is_dir() or room.suffix == ".py"))
    return digest(*shared, *sorted(bench.glob("encore_*.py")), *rooms, root.parent / "decision")
