"""The kinds of the parity cases on other data, beside scipy, statsmodels and formulas written out here."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import proportion

from experiments.bench.ab_parity import METHODS, compared

RNG = np.random.default_rng(7)
DATA = {
    "negative, unequal arms": (RNG.normal(-50, 10, 24), RNG.normal(-48, 20, 170)),
    "heavy tails": (RNG.standard_t(2.2, 900) * 5 + 7, RNG.standard_t(2.2, 400) * 5 + 7),
    "mostly zeros": (
        (RNG.random(3_000) < 0.1) * RNG.gamma(1, 40, 3_000),
        (RNG.random(800) < 0.1) * RNG.gamma(1, 40, 800),
    ),
    "very small": (1e-9 * RNG.gamma(2, 1, 30), 1e-9 * RNG.gamma(2, 1, 31)),
    "three and five": (np.array([9.0, 10.0, 11.5]), np.array([7.0, 13.0, 10.0, 9.0, 12.5])),
}


def same(method: str, inputs: Any, params: Any, **want: Any) -> None:
    found = METHODS[method](inputs, params)
    for key, value in want.items():
        assert found[key] == pytest.approx(value, rel=1e-6, abs=1e-13), (method, key)


def arms(control: dict[str, Any], treatment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        name: {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in arm.items()}
        for name, arm in (("control", control), ("treatment", treatment))
    }


def wald(estimate: float, error: float, degrees: float, alpha: float) -> dict[str, float]:
    t = float(stats.t.ppf(1 - alpha / 2, degrees))
    p = float(2 * stats.t.sf(abs(estimate / error), degrees))
    return {"estimate": estimate, "ci_lower": estimate - t * error, "ci_upper": estimate + t * error, "pvalue": p}


def welch(a: float, b: float, n: int, m: int) -> float:
    return (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1))


@pytest.mark.parametrize("alpha", [0.001, 0.05, 0.3])
@pytest.mark.parametrize("name", DATA)
def test_means(name: str, alpha: float) -> None:
    a, b = DATA[name]
    n, m, level = len(a), len(b), {"alpha": alpha}
    inputs = arms({"y": a}, {"y": b})
    va, vb = a.var(ddof=1) / n, b.var(ddof=1) / m
    gap, error, degrees = b.mean() - a.mean(), math.sqrt(va + vb), welch(va, vb, n, m)
    same("welch_t_abs", inputs, level, se=error, **wald(gap, error, degrees, alpha))
    same("z_abs", inputs, level, **wald(gap, error, math.inf, alpha))
    half = stats.t.ppf(1 - alpha, degrees) * error
    more, less = (stats.ttest_ind(b, a, equal_var=False, alternative=one).pvalue for one in ("greater", "less"))
    same("welch_t_abs_greater", inputs, level, ci_lower=gap - half, ci_upper=math.inf, pvalue=more)
    same("welch_t_abs_less", inputs, level, ci_lower=-math.inf, ci_upper=gap + half, pvalue=less)
    pooled = stats.ttest_ind(b, a)
    low, high = pooled.confidence_interval(1 - alpha)
    same("pooled_t_abs", inputs, level, ci_lower=low, ci_upper=high, pvalue=pooled.pvalue)
    base = abs(a.mean())
    ratio = math.sqrt(vb + va * (b.mean() / a.mean()) ** 2) / base
    same("delta_rel_welch_dof", inputs, level, se=ratio, **wald(gap / base, ratio, degrees, alpha))
    same("mwu", inputs, level, pvalue=stats.mannwhitneyu(b, a).pvalue)
    if a.mean() > 0:
        ca, cb = va / a.mean() ** 2, vb / b.mean() ** 2
        logs = wald(math.log(b.mean() / a.mean()), math.sqrt(ca + cb), welch(ca, cb, n, m), alpha)
        ends = {key: math.expm1(logs[key]) for key in ("estimate", "ci_lower", "ci_upper")}
        same("log_ratio_welch_rel", inputs, level, **ends)


@pytest.mark.parametrize("tuning", [50, 5_000, 2e6])
def test_always_valid_intervals(tuning: float) -> None:
    """As Waudby-Smith et al. write them: rho^2, and the e-value's inverse."""
    a, b = DATA["heavy tails"]
    n, alpha = len(a) + len(b), 0.02
    error = math.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1)) / tuning
    half = (
        error
        * math.sqrt(n)
        * math.sqrt(2 * (n * rho2 + 1) / (n * n * rho2) * math.log(math.sqrt(n * rho2 + 1) / alpha))
    )
    gap = b.mean() - a.mean()
    e_value = math.exp(n * rho2 / (2 * (n * rho2 + 1)) * (gap / error) ** 2) / math.sqrt(n * rho2 + 1)
    same(
        "seq_asympcs_abs",
        arms({"y": a}, {"y": b}),
        {"alpha": alpha, "tuning": tuning},
        ci_lower=gap - half,
        ci_upper=gap + half,
        pvalue=min(1.0, 1 / e_value),
    )


@pytest.mark.parametrize(
    "prior",
    [
        None,
        {"mean": 0.1, "variance": 0.3},
        {"mean": 0.5, "sd": 0.2, "proper": True},
        {"mean": 9, "sd": 1, "proper": False},
    ],
)
def test_posteriors(prior: dict[str, Any] | None) -> None:
    a, b = DATA["heavy tails"]
    estimate, precision = b.mean() - a.mean(), 1 / (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    known, centre = 0.0, 0.0
    if prior and prior.get("proper", True):
        known, centre = 1 / prior.get("variance", prior.get("sd", 0.0) ** 2), prior["mean"]
    belief = stats.norm((precision * estimate + known * centre) / (precision + known), (precision + known) ** -0.5)
    draws = belief.ppf((np.arange(400_000) + 0.5) / 400_000)
    found = METHODS["bayes_gauss_abs"](arms({"y": a}, {"y": b}), {"alpha": 0.1, "prior": prior})
    assert found["estimate"] == pytest.approx(belief.mean())
    assert (found["ci_lower"], found["ci_upper"]) == pytest.approx((belief.ppf(0.05), belief.ppf(0.95)))
    assert found["chance_to_win"] == pytest.approx(belief.sf(0))
    assert found["risk_a"] == pytest.approx(np.maximum(draws, 0).mean(), rel=1e-4)
    assert found["risk_b"] == pytest.approx(np.maximum(-draws, 0).mean(), rel=1e-4)


@pytest.mark.parametrize(("n", "s", "m", "t"), [(100, 17, 130, 12), (10**7, 120, 10**7, 180), (1_000, 990, 400, 399)])
@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_shares(n: int, s: int, m: int, t: int, alpha: float) -> None:
    inputs, level = arms({"n": n, "s": s}, {"n": m, "s": t}), {"alpha": alpha}
    p, q = s / n, t / m
    va, vb, gap = p * (1 - p) / n, q * (1 - q) / m, q - p
    degrees = welch(va, vb, n, m)
    same("z_unpooled_abs", inputs, level, **wald(gap, math.sqrt(va + vb), math.inf, alpha))
    same("welch_t_abs_binary_var", inputs, level, **wald(gap, math.sqrt(va + vb), degrees, alpha))
    same("z_pooled_p", inputs, level, pvalue=proportion.proportions_ztest([t, s], [m, n])[1])
    error = math.sqrt(vb + va * (q / p) ** 2) / p
    same("delta_rel_welch_dof_binary_var", inputs, level, **wald(gap / p, error, degrees, alpha))
    low, high = proportion.confint_proportions_2indep(t, m, s, n, method="log", compare="ratio", alpha=alpha)
    same("log_ratio_z_rel", inputs, level, ci_lower=low - 1, ci_upper=high - 1)


@pytest.mark.parametrize("level", [1.3, -2.0])
def test_ratios_as_arrays_and_as_sums(level: float) -> None:
    rng = np.random.default_rng(3)
    arrays, sums, shown = [], [], []
    for n in (12, 300):
        d = rng.poisson(3, n) + 1.0
        m = d * rng.normal(level, 1, n)
        arrays.append({"m": m, "d": d})
        products = {"m_sum_sq": m @ m, "d_sum_sq": d @ d, "md_sum": m @ d}
        sums.append({"n": n, "m_sum": m.sum(), "d_sum": d.sum(), **products})
        ratio = m.sum() / d.sum()
        shown.append((ratio, (m - ratio * d).var(ddof=1) / n / d.mean() ** 2, n))
    (r, va, n), (q, vb, k) = shown
    degrees = welch(va, vb, n, k)
    error = math.sqrt(vb + va * (q / r) ** 2) / abs(r)
    for inputs in (arms(*arrays), arms(*sums)):
        same("ratio_delta_abs_welch", inputs, {"alpha": 0.1}, **wald(q - r, math.sqrt(va + vb), degrees, 0.1))
        same("ratio_delta_rel_welch_dof", inputs, {"alpha": 0.1}, **wald((q - r) / abs(r), error, degrees, 0.1))


@pytest.mark.parametrize("correlation", [-0.95, 0.0, 0.3, 0.999])
@pytest.mark.parametrize("p", [1, 3])
def test_cuped_is_the_regression_over_both_arms_together(p: int, correlation: float) -> None:
    rng = np.random.default_rng(p)
    x = rng.normal(20, 5, (530, p))
    y = correlation * x.sum(axis=1) + math.sqrt(1 - correlation**2) * rng.normal(0, 5, 530) - 5
    centred = x - x.mean(axis=0)
    left = y - centred @ np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0]
    test = stats.ttest_ind(left[30:], left[:30], equal_var=False)
    low, high = test.confidence_interval(0.9)
    # Whatever comes first in a row, `y` is the metric.
    before = [{f"x{k}": part[:, k] for k in range(p)} for part in (x[:30], x[30:])]
    inputs = arms({**before[0], "y": y[:30]}, {**before[1], "y": y[30:]})
    same("cuped_abs_welch", inputs, {"alpha": 0.1}, ci_lower=low, ci_upper=high, pvalue=test.pvalue)


def test_a_row_that_is_refused_or_is_no_number_is_said_and_hides_no_other(tmp_path: Path) -> None:
    def row(name: str, method: str, inputs: Any, expected: Any) -> dict[str, Any]:
        return {"id": name, "method": method, "inputs": inputs, "params": {"alpha": 0.05}, "expected": expected}

    right = row("right", "srm_chi2", {"observed": [90, 110], "expected": [1, 1]}, {"pvalue": 0.15729920705028513})
    flat = row("flat", "welch_t_abs", arms({"y": [1.0, 1.0]}, {"y": [1.0, 1.0]}), {"estimate": 0.0})
    both = arms({"y": [1.0, 2.0]}, {"y": [1.0, 4.0]})
    none = row("none", "welch_t_abs", both, {"estimate": 1.0, "pvalue": math.nan})
    (tmp_path / "rows.json").write_text(json.dumps([flat, none, right]))
    refused, unlike, fine = compared(tmp_path / "rows.json")
    assert "refused: An interval needs figures that vary" in refused.reason
    assert not unlike.agrees
    assert unlike.difference == math.inf
    assert fine.agrees
