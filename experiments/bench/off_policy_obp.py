"""Runs inside Open Bandit Pipeline's own environment: times its estimators on a log in .npz, prints JSON.

Without arguments it only looks whether the pipeline starts.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

GRID = [1.0, 5.0, 10.0, 50.0, 100.0, 500.0, 1000.0, np.inf]
SEED = 12345


class _Anything(type):
    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing


class _Nothing(metaclass=_Anything):
    """Stands in for every class of PyTorch, which only the pipeline's policy learners use."""


def without_torch() -> None:
    """Put an empty PyTorch in place."""
    for name in ("torch", "torch.nn", "torch.optim", "torch.nn.functional"):
        module = types.ModuleType(name)
        module.__getattr__ = lambda _: _Nothing  # type: ignore[method-assign]
        sys.modules[name] = module


def makers(ope: Any) -> dict[str, Callable[[], Any]]:
    """Return how to make each of the pipeline's estimators."""
    return {
        "ipw": ope.InverseProbabilityWeighting,
        "snipw": ope.SelfNormalizedInverseProbabilityWeighting,
        "dm": ope.DirectMethod,
        "dr": ope.DoublyRobust,
        "sndr": ope.SelfNormalizedDoublyRobust,
        "ipw_clip10": lambda: ope.InverseProbabilityWeighting(lambda_=10),
        "dr_clip10": lambda: ope.DoublyRobust(lambda_=10),
        "switch-dr_5": lambda: ope.SwitchDoublyRobust(lambda_=5),
        "dros_100": lambda: ope.DoublyRobustWithShrinkage(lambda_=100),
        "sgipw_0.05": lambda: ope.SubGaussianInverseProbabilityWeighting(lambda_=0.05),
        "sgdr_0.05": lambda: ope.SubGaussianDoublyRobust(lambda_=0.05),
        "switch-dr-tuned": lambda: ope.SwitchDoublyRobustTuning(lambdas=GRID),
        "dros-tuned": lambda: ope.DoublyRobustWithShrinkageTuning(lambdas=GRID),
    }


def timed(call: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """Return what a call answers, and the median of its CPU seconds."""
    took = []
    for _ in range(repeats):
        begun = time.process_time()
        answer = call()
        took.append(time.process_time() - begun)
    return answer, statistics.median(took)


def measure(ope: Any, path: str, repeats: int, replicates: int) -> dict[str, dict[str, float]]:
    """Return each estimator's value, and its seconds for a value and for a bootstrap interval."""
    log = dict(np.load(path))
    given = {
        "reward": log["reward"],
        "action": log["action"],
        "pscore": log["pscore"],
        "action_dist": log["pi_e"][:, :, None],
        "estimated_rewards_by_reg_model": log["q_hat"][:, :, None],
        # Without it the estimators that tune themselves build a table of n by n.
        "position": np.zeros(len(log["reward"]), dtype=int),
    }
    resampling = {"n_bootstrap_samples": replicates, "random_state": SEED}
    found = {}
    for name, make in makers(ope).items():
        suffix = "_with_tuning" if name.endswith("tuned") else ""
        value, seconds = timed(partial(_call, make, "estimate_policy_value" + suffix, given), repeats)
        _, interval = timed(partial(_call, make, "estimate_interval" + suffix, given | resampling), 1)
        found[name] = {"value": float(value), "seconds": seconds, "interval_seconds": interval}
    return found


def _call(make: Callable[[], Any], method: str, given: dict[str, Any]) -> Any:
    return getattr(make(), method)(**given)


def main(arguments: list[str]) -> None:
    """Measure, or only start."""
    without_torch()
    from obp import ope  # type: ignore[import-not-found, unused-ignore]

    if arguments:
        path, repeats, replicates = arguments
        print(json.dumps(measure(ope, path, int(repeats), int(replicates))))


if __name__ == "__main__":
    main(sys.argv[1:])
