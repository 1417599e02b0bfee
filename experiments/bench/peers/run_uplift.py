"""Fits one learner in whatever environment this is started in: rows come and values go as .npz files."""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np

from experiments.bench.protocol import Terms, Trial, UpliftLearner, entry

WARM_UP = 2_000


def main(name: str, rows: str, customers: str, out: str) -> None:
    """Run the learner `module:function` on the `rows`, and write the values of the `customers` to `out`."""
    warnings.simplefilter("ignore")
    learned_values: UpliftLearner = entry(name)
    with np.load(rows) as data:
        terms = Terms(float(data["margin"]), data["discount"], data["flat"], data["contact"])
        trial = Trial(data["x"], data["action"], data["bought"], data["order"], terms, int(data["seed"]))
    x_new = np.load(customers)
    # Once on a few rows, so that imports and compilers don't count as learning.
    learned_values(trial.first(WARM_UP), x_new[:10])
    begun = time.process_time()
    values = learned_values(trial, x_new)
    np.savez(out, values=values, cpu_seconds=time.process_time() - begun)


if __name__ == "__main__":
    main(*sys.argv[1:])
