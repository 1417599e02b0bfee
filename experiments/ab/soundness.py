"""Is a trial what its design says? Checks that come before any result; one that fails is shown above it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc

from decision.errors import NotEnoughData, counted
from decision.records import FloatArray
from experiments.ab.moments import Moments
from experiments.ab.multiplicity import Correction, adjusted
from experiments.ab.outliers import share_of_the_largest, skewness_of_difference
from experiments.importing.srm import THRESHOLD, ArmCounts

# A thousandth of the units that make up more than this share of a total decide the result by themselves.
LARGE_SHARE = 0.1
# Beyond it the means' difference is too skewed for intervals that are even around it.
SKEWED = 0.2


class Finding(StrEnum):
    """Whether results may be read: yes, yes but with care, no."""

    SOUND = "sound"
    CAREFUL = "careful"
    UNSOUND = "unsound"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, what was found in a sentence, and a p-value where it is a test."""

    name: str
    finding: Finding
    sentence: str
    p_value: float | None = None


def sample_ratio(found: Mapping[str, int], design: Mapping[str, float]) -> Check:
    """Return whether the arms are as large as the design says: Pearson's chi-square at 0.001 (Fabijan et al. 2019)."""
    counts = ArmCounts(found, design)
    if not sum(found.values()):
        return Check("sample ratio", Finding.UNSOUND, "There are no units at all.")
    finding = Finding.UNSOUND if counts.mismatch else Finding.SOUND
    verdict = "does not fit the design" if counts.mismatch else "fits the design"
    return Check("sample ratio", finding, f"The split {verdict}: {counts.sentence}.", counts.p_value)


def sample_ratio_within(
    groups: NDArray[np.generic], arm: NDArray[np.integer], design: Sequence[float], what: str
) -> Check:
    """Return whether the split fits in every value [n] of a dimension, or on every day.

    Bonferroni's correction over the values; those with fewer than five units expected in an arm are put together.
    """
    shares = np.asarray(design, dtype=np.float64)
    values, place = np.unique(groups.astype(str), return_inverse=True)
    table = np.zeros((len(values), len(shares)))
    np.add.at(table, (place, arm), 1.0)
    small = table.sum(axis=1) * shares.min() < 5
    names, rows = [str(v) for v in values[~small]], table[~small]
    rest = table[small].sum(axis=0)
    if rest.sum() * shares.min() >= 5:
        names, rows = [*names, "all others"], np.vstack([rows, rest])
    if not names:
        return Check(f"sample ratio by {what}", Finding.SOUND, f"Too few units by {what} to test the split in each.")
    expected = rows.sum(axis=1, keepdims=True) * shares
    p = np.minimum(chdtrc(len(shares) - 1, ((rows - expected) ** 2 / expected).sum(axis=1)) * len(names), 1.0)
    worst = int(np.argmin(p))
    bad = [name for name, one in zip(names, p, strict=True) if one < THRESHOLD]
    if bad:
        text = f"The split does not fit the design for {what} {', '.join(bad[:5])}"
        text += f" and {len(bad) - 5} more." if len(bad) > 5 else "."
    else:
        text = f"The split fits the design in {counted(len(names), 'value')} of {what}."
    return Check(f"sample ratio by {what}", Finding.UNSOUND if bad else Finding.SOUND, text, float(p[worst]))


def balance(arms: Sequence[Moments], covariates: Sequence[str]) -> Check:
    """Return whether the arms were alike before the trial: Wald's tests that pre-period means are equal.

    One for all covariates together, and one for each, corrected for their number (Holm): one that is far off may drown
    among many. Each half has half of the threshold. `arms` hold the covariates alone. What differs by chance is put
    right by CUPED; what differs by more was not randomised.
    """
    name = "pre-period balance"
    if min(one.n for one in arms) < 2:
        return Check(name, Finding.CAREFUL, "An arm has fewer than two units: nothing to compare before the trial.")
    together = _equal_means(arms)
    if together is None:
        return Check(name, Finding.SOUND, "No covariate varies: nothing to compare.")
    names = ", ".join(covariates)
    if len(covariates) == 1:
        p_value, each = together, {covariates[0]: together}
    else:
        alone = [_equal_means([one.take(k) for one in arms]) for k in range(len(covariates))]
        p = adjusted([1.0 if one is None else one for one in alone], Correction.HOLM)
        each = dict(zip(covariates, p, strict=True))
        p_value = min(1.0, 2 * min(together, *p))
    if p_value < THRESHOLD:
        off = [f"{one} (p = {p:.2g})" for one, p in each.items() if p < THRESHOLD]
        which = f"most of all {', '.join(off)}" if off and len(covariates) > 1 else names
        text = f"The arms differed before the trial ({which}): they were not randomised, or the logging differs."
        return Check(name, Finding.UNSOUND, text, p_value)
    return Check(name, Finding.SOUND, f"The arms were alike before the trial ({names}).", p_value)


def seen_in_two_arms(unit: NDArray[np.generic], arm: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return which rows [n] are of units that were seen in two arms."""
    ids, first, place = np.unique(unit, return_index=True, return_inverse=True)
    crossed = np.zeros(len(ids), dtype=bool)
    crossed[place[arm != arm[first][place]]] = True
    found: NDArray[np.bool_] = crossed[place]
    return found


def contamination(unit: NDArray[np.generic], arm: NDArray[np.integer]) -> Check:
    """Return whether units [n] were seen in two arms: what they did can't be laid to one of them.

    A few, as people with two devices are, can be left out. More are a fault of the assignment.
    """
    ids = len(np.unique(unit))
    crossed = len(np.unique(unit[seen_in_two_arms(unit, arm)]))
    share = crossed / max(ids, 1)
    if not crossed:
        return Check("contamination", Finding.SOUND, "No unit was seen in two arms.")
    text = f"{counted(crossed, 'unit')} of {ids:,} ({100 * share:.3g} %) were seen in two arms and are left out."
    return Check("contamination", Finding.UNSOUND if share > 0.01 else Finding.CAREFUL, text)


def duplicates(unit: NDArray[np.generic], *, clustered: bool) -> Check:
    """Return whether a unit has several rows: it would count several times, and intervals would be too narrow."""
    extra = len(unit) - len(np.unique(unit))
    if not extra:
        return Check("duplicates", Finding.SOUND, "Every unit has one row.")
    if clustered:
        return Check(
            "duplicates", Finding.SOUND, f"{counted(extra, 'row')} more than units: they are added up by unit."
        )
    text = f"{counted(extra, 'row')} more than units: a unit counts once. Add rows up, or name the unit as the cluster."
    return Check("duplicates", Finding.UNSOUND, text)


def logging_loss(assigned: Mapping[str, int], measured: Mapping[str, int]) -> Check:
    """Return whether arms lose the same share of their units between assignment and measurement (chi-square, 0.001)."""
    names = list(assigned)
    total = np.array([assigned[name] for name in names], dtype=np.float64)
    kept = np.array([measured.get(name, 0) for name in names], dtype=np.float64)
    if (kept > total).any() or not (total > 0).all():
        return Check(
            "logging loss", Finding.UNSOUND, "More units were measured than assigned: the assignment log is incomplete."
        )
    text = ", ".join(f"{name} {100 * (1 - k / n):.2f} %" for name, k, n in zip(names, kept, total, strict=True))
    lost = 1 - kept.sum() / total.sum()
    if not 0 < lost < 1:
        finding = Finding.SOUND if lost == 0 else Finding.UNSOUND
        return Check("logging loss", finding, f"Units without measurement: {text}.", 1.0 if lost == 0 else None)
    chi_square = float(((kept - total * (1 - lost)) ** 2 / (total * lost * (1 - lost))).sum())
    p_value = float(chdtrc(len(names) - 1, chi_square))
    finding = Finding.UNSOUND if p_value < THRESHOLD else Finding.CAREFUL if lost > 0.05 else Finding.SOUND
    return Check("logging loss", finding, f"Units without measurement: {text}.", p_value)


def outliers(name: str, values: FloatArray) -> Check:
    """Return whether few units make up much of a metric."""
    share = share_of_the_largest(values)
    text = f"The largest thousandth of the units make up {100 * share:.1f} % of {name}."
    if share <= LARGE_SHARE:
        return Check(f"outliers of {name}", Finding.SOUND, text)
    return Check(f"outliers of {name}", Finding.CAREFUL, f"{text} Winsorise it, or expect wide intervals.")


def skewness(name: str, values: FloatArray, sizes: Sequence[int]) -> Check:
    """Return whether arms of these sizes, control first, are large enough for means of such skewed values [n]."""
    worst = skewness_of_difference(values, sizes)
    if worst <= SKEWED:
        return Check(f"skewness of {name}", Finding.SOUND, f"{name} is not too skewed for arms of these sizes.")
    text = (
        f"The difference of means of {name} has a skewness of {worst:.2f}: its interval covers less than it says. "
        "Winsorise it, make arms alike in size, or wait for more units."
    )
    return Check(f"skewness of {name}", Finding.CAREFUL, text)


def _equal_means(arms: Sequence[Moments]) -> float | None:
    first = arms[0]
    if any(one.n < 2 for one in arms):
        raise NotEnoughData("Every arm needs two units, found fewer.")
    gaps = np.concatenate([one.mean - first.mean for one in arms[1:]])
    base = first.covariance() / first.n
    k, p = len(arms) - 1, len(first.mean)
    covariance = np.kron(np.ones((k, k)), base)
    for j, one in enumerate(arms[1:]):
        at = slice(j * p, (j + 1) * p)
        covariance[at, at] += one.covariance() / one.n
    scale = np.sqrt(np.diag(covariance))
    usable = scale > 0
    if not usable.any():
        return None if not gaps.any() else 0.0
    correlation = covariance[np.ix_(usable, usable)] / np.outer(scale[usable], scale[usable])
    z = gaps[usable] / scale[usable]
    values, vectors = np.linalg.eigh(correlation)
    kept = values > 1e-10 * values.max()
    chi_square = float(((vectors[:, kept].T @ z) ** 2 / values[kept]).sum())
    return float(chdtrc(int(kept.sum()), chi_square))
