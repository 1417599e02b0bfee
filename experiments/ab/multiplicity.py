"""Many metrics and arms: adjusted p-values, by statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from decision.errors import InvalidInput
from decision.records import FloatArray


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
    # One test needs none.
    if correction is Correction.NONE or len(p) < 2:
        return [float(one) for one in p]
    if correction is Correction.HOLM:
        return [float(one) for one in _holm(p)]
    from statsmodels.stats.multitest import multipletests

    method = _STATSMODELS.get(correction, correction.value)
    return [float(one) for one in np.minimum(multipletests(p, method=method)[1], 1.0)]


def _holm(p: FloatArray) -> FloatArray:
    """Return Holm's (1979) p-values [n].

    The library has them too, and collects garbage at each call: of all that an analysis does, that took longest.
    """
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    found = np.empty_like(p)
    found[order] = np.minimum(stepped, 1.0)
    return found
