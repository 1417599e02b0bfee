"""Corrected p-values: ours beside the library's."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from experiments.ab.multiplicity import Correction, adjusted


@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_holm_is_the_librarys_with_ties_and_in_any_order(n: int) -> None:
    rng = np.random.default_rng(n)
    for p in (rng.random(n), rng.random(n) / 20, rng.integers(4, size=n) / 40, np.append(rng.random(n - 1), 1e-300)):
        assert adjusted(p.tolist(), Correction.HOLM) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
