"""Runs one policy through one environment of a bandit world, in whatever environment this is started in."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from experiments.bench.protocol import BanditPolicy, FloatArray, IntArray, entry, past_trial, setting_of, world_at

MEAN_DELAY = 500.0


class Metered:
    """A policy that counts the CPU time it takes: other processes on the machine are not in it."""

    def __init__(self, policy: BanditPolicy) -> None:
        """Take the policy to measure."""
        self.policy = policy
        self.acting = self.learning = 0.0
        self.decisions = self.outcomes = 0

    def act(self, x: FloatArray, idx: IntArray) -> tuple[IntArray, FloatArray | None]:
        """Return what the policy does."""
        begun = time.process_time()
        chosen = self.policy.act(x, idx)
        self.acting += time.process_time() - begun
        self.decisions += len(idx)
        return chosen

    def update(self, x: FloatArray, *arrived: Any) -> None:
        """Let the policy learn."""
        begun = time.process_time()
        self.policy.update(x, *arrived)
        self.learning += time.process_time() - begun
        self.outcomes += len(x)


def run(world: Any, policy_named: str, *, seed: int, decisions: int, scenario: str, history: int) -> dict[str, Any]:
    """Return what the world says of a policy. `scenario` is a mode of the world, or `shift` or `warm`, both delayed."""
    env = world.make_env(seed, decisions, scenario == "shift", MEAN_DELAY)
    past = past_trial(world, seed=seed, decisions=history, after=decisions) if scenario == "warm" else None
    metered = Metered(entry(policy_named)(setting_of(world, env, past)))
    result = world.run(metered, env, "daily" if scenario == "daily" else "delay")
    return {
        "pct": result["pct"],
        "curve": result["curve"],
        "us_decision": 1e6 * metered.acting / metered.decisions,
        "us_outcome": 1e6 * metered.learning / max(metered.outcomes, 1),
    }


def main(job: str, out: str) -> None:
    """Run the job in a JSON file."""
    asked = json.loads(Path(job).read_text(encoding="utf-8"))
    world = world_at(Path(asked.pop("world")))
    Path(out).write_text(json.dumps(run(world, asked.pop("policy"), **asked)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
