"""The rank test of Mann and Whitney, by scipy: is a random treated unit more often above a random control unit?"""

from __future__ import annotations

from decision.errors import InvalidInput
from decision.records import FloatArray


def rank_test(control: FloatArray, treatment: FloatArray) -> float:
    """Return the two-sided p-value of float[n] against float[m]. Raises InvalidInput for missing values."""
    import numpy as np
    from scipy.stats import mannwhitneyu

    for values in (control, treatment):
        if not len(values) or not np.isfinite(values).all():
            raise InvalidInput("A rank test needs finite values in both arms, found none or some missing.")
    return float(mannwhitneyu(treatment, control).pvalue)
