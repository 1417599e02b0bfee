"""Many metrics and arms: adjusted p-values, by statsmodels."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum

import numpy as np

from decision.errors import InvalidInput


class Correction(StrEnum):
    """What is kept: the chance of any false alarm (the first five), or the share of false alarms (BH, BY)."""

    BONFERRONI = "bonferroni"
    SIDAK = "sidak"
    HOLM = "holm"
    HOLM_SIDAK = "holm_sidak"
    HOCHBERG = "hochberg"
    HOMMEL = "hommel"
    BENJAMINI_HOCHBERG = "benjamini_hochberg"
    BENJAMINI_YEKUTIELI = "benjamini_yekutieli"
    NONE = "none"


_STATSMODELS = {
    Correction.HOLM_SIDAK: "holm-sidak",
    Correction.HOCHBERG: "simes-hochberg",
    Correction.BENJAMINI_HOCHBERG: "fdr_bh",
    Correction.BENJAMINI_YEKUTIELI: "fdr_by",
}


def adjusted(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return the adjusted p-values in the same order. Raises InvalidInput for what is no probability."""
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise InvalidInput(f"Expected p-values from 0 to 1, found {list(p_values)}.")
    if correction is Correction.NONE or len(p) < 2:
        return [float(one) for one in p]
    from statsmodels.stats.multitest import multipletests

    method = _STATSMODELS.get(correction, correction.value)
    with _garbage_left_alone():
        return [float(one) for one in np.minimum(multipletests(p, method=method)[1], 1.0)]


@contextmanager
def _garbage_left_alone() -> Iterator[None]:
    """Hide what there is from the collector: the library calls it each time, for longer than all the rest takes."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
