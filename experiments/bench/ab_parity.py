"""Encore's A/B statistics beside figures on which independent implementations agree."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from decision.errors import EncoreError
from experiments.ab.always_valid import AlwaysValid
from experiments.ab.arm_figure import ArmFigure, adjusted_figures, mean_figure, ratio_figure, share_figure
from experiments.ab.bandit_contrasts import BanditLog, action_values, aipw_scores, ipw_scores
from experiments.ab.bandit_weights import Weighing, evaluation_weights
from experiments.ab.bayes import FLAT, Prior, posterior
from experiments.ab.effect import Confidence, Effect, RelativeMethod, Spread, absolute_effect, relative_effect
from experiments.ab.moments import Moments
from experiments.ab.multiplicity import Correction, adjusted
from experiments.ab.power import Design, detectable_effect, power, sample_size, whole
from experiments.ab.ranks import rank_test
from experiments.ab.shares import pooled_share_test
from experiments.ab.tails import Alternative
from experiments.importing.srm import ArmCounts

TOLERANCE = 1e-6
Row = Mapping[str, Any]
Answer = Mapping[str, Any]
Method = Callable[[Row, Row], Answer]


@dataclass(frozen=True, slots=True)
class Compared:
    """One row: the greatest relative difference, or why it could not be tried."""

    id: str
    difference: float
    reason: str = ""

    @property
    def agrees(self) -> bool:
        """Return whether all figures are within the tolerance."""
        return not self.reason and self.difference <= TOLERANCE


def compared(path: Path) -> list[Compared]:
    """Return every row of a file of cases, compared."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [_compare(row, path.parent) for row in rows]


def _compare(row: Row, folder: Path) -> Compared:
    inputs = row["inputs"]
    if isinstance(inputs, str):
        file = folder / inputs.rpartition(" ")[2]
        if not file.exists():
            return Compared(row["id"], math.nan, f"its inputs, {file.name}, are not beside the cases")
        inputs = json.loads(file.read_text(encoding="utf-8"))
    answer = METHODS.get(row["method"])
    if answer is None:
        return Compared(row["id"], math.nan, f"no method is called {row['method']}")
    try:
        found = answer(inputs, row["params"])
    except EncoreError as error:
        return Compared(row["id"], math.nan, f"refused: {error}")
    missing = row["expected"].keys() - found.keys()
    if missing:
        return Compared(row["id"], math.nan, f"nothing is answered for {', '.join(sorted(missing))}")
    return Compared(row["id"], max(_difference(found[key], want) for key, want in row["expected"].items()))


def _difference(found: Any, expected: Any) -> float:
    have, want = np.atleast_1d(np.asarray(found, dtype=float)), np.atleast_1d(np.asarray(expected, dtype=float))
    if have.shape != want.shape:
        return math.inf
    with np.errstate(invalid="ignore"):
        apart = np.where(have == want, 0.0, np.abs(have - want) / np.maximum(np.abs(want), 1e-12))
    # What is no number agrees with nothing, and must not be lost among what does.
    return float(np.max(np.where(np.isnan(apart), math.inf, apart), initial=0.0))


def _moments(arm: Row) -> Moments:
    if "s" in arm:
        return Moments.of_successes(arm["n"], arm["s"])
    if "m" in arm:
        return Moments.of(np.asarray(arm["m"], dtype=float), np.asarray(arm["d"], dtype=float))
    if "m_sum" in arm:
        products = np.array([[arm["m_sum_sq"], arm["md_sum"]], [arm["md_sum"], arm["d_sum_sq"]]])
        return Moments.of_sums(arm["n"], np.array([arm["m_sum"], arm["d_sum"]]), products)
    if "sum" in arm:
        return Moments.of_sums(arm["n"], np.array([arm["sum"]]), np.array([[arm["sum_sq"]]]))
    if "y_sum" in arm:
        products = np.array([[arm["y_sum_sq"], arm["xy_sum"]], [arm["xy_sum"], arm["x_sum_sq"]]])
        return Moments.of_sums(arm["n"], np.array([arm["y_sum"], arm["x_sum"]]), products)
    # The metric comes first, wherever a row has it.
    named = [arm["y"], *(values for name, values in arm.items() if name != "y")]
    return Moments.of(*(np.asarray(values, dtype=float) for values in named))


def _figures(inputs: Row, *, biased: bool = False) -> tuple[ArmFigure, ArmFigure]:
    arms = [inputs[name] for name in ("control", "treatment")]
    if biased and "s" in arms[0]:
        return share_figure(arms[0]["n"], arms[0]["s"]), share_figure(arms[1]["n"], arms[1]["s"])
    control, treatment = (_moments(arm) for arm in arms)
    if "m" in arms[0] or "m_sum" in arms[0]:
        return ratio_figure(control), ratio_figure(treatment)
    if len(control.mean) > 1:
        return adjusted_figures(control, treatment)
    return mean_figure(control), mean_figure(treatment)


def _shown(effect: Effect) -> Answer:
    return {
        "estimate": effect.estimate,
        "ci_lower": effect.low,
        "ci_upper": effect.high,
        "pvalue": effect.p_value,
        "se": effect.standard_error,
    }


def _absolute(spread: Spread, alternative: Alternative = Alternative.TWO_SIDED, *, biased: bool = False) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        confidence = Confidence(params["alpha"], alternative, spread)
        return _shown(absolute_effect(*_figures(inputs, biased=biased), confidence))

    return answer


def _relative(method: RelativeMethod, spread: Spread = Spread.WELCH, *, biased: bool = False) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        confidence = Confidence(params["alpha"], Alternative.TWO_SIDED, spread)
        return _shown(relative_effect(*_figures(inputs, biased=biased), confidence, method))

    return answer


def _always_valid(*, relative: bool) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        control, treatment = _figures(inputs)
        confidence = Confidence(params["alpha"], Alternative.TWO_SIDED, Spread.NORMAL)
        fixed = (relative_effect if relative else absolute_effect)(control, treatment, confidence)
        return _shown(AlwaysValid(params["tuning"], params["alpha"]).at(fixed, control.n + treatment.n))

    return answer


def _pooled_shares(inputs: Row, params: Row) -> Answer:
    arms = (_moments(inputs["control"]), _moments(inputs["treatment"]))
    return _shown(pooled_share_test(*arms, Confidence(params["alpha"])))


def _srm(inputs: Row, _: Row) -> Answer:
    names = [str(k) for k in range(len(inputs["observed"]))]
    design = np.asarray(inputs["expected"], dtype=float)
    counts = ArmCounts(
        dict(zip(names, inputs["observed"], strict=True)), dict(zip(names, design / design.sum(), strict=True))
    )
    return {"pvalue": counts.p_value}


def _corrected(correction: Correction) -> Method:
    return lambda inputs, _: {"pvalue_adj": adjusted(inputs["p"], correction)}


def _bayes(*, relative: bool) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        confidence = Confidence(params["alpha"], Alternative.TWO_SIDED, Spread.NORMAL)
        fixed = (relative_effect if relative else absolute_effect)(*_figures(inputs), confidence)
        prior = params.get("prior")
        if prior and prior.get("proper", True):
            spread = prior.get("sd") or prior.get("stddev") or math.sqrt(prior["variance"])
            found = posterior(fixed, Prior(prior.get("mean", 0.0), spread))
        else:
            found = posterior(fixed, FLAT)
        return {
            "estimate": found.mean,
            "ci_lower": found.low,
            "ci_upper": found.high,
            "chance_to_win": found.chance_to_win,
            "risk_a": found.loss_of_control,
            "risk_b": found.loss_of_treatment,
        }

    return answer


def _design(inputs: Row, params: Row) -> Design:
    ratio, alpha = inputs.get("ratio", 1.0), params["alpha"]
    if "p0" in inputs:
        return Design.of_share(inputs["p0"], ratio, alpha)
    return Design(inputs["sd"], inputs["sd"], ratio, alpha)


def _power(*, student: bool) -> Method:
    return lambda inputs, params: {
        "power": power(_design(inputs, params), inputs["mde_abs"], inputs["n_total"], student=student)
    }


def _size(*, student: bool) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        design = _design(inputs, params)
        n = sample_size(design, inputs["mde_abs"], params["power"], student=student)
        return {"n_total": whole(n, design.ratio), "n_total_unrounded": n}

    return answer


def _detectable(*, student: bool) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        found = detectable_effect(_design(inputs, params), inputs["n_total"], params["power"], student=student)
        return {"mde_abs": found, "effect_size": found}

    return answer


def _bandit(weighing: Weighing, *, augmented: bool) -> Method:
    def answer(inputs: Row, params: Row) -> Answer:
        arms, rewards, probabilities = (
            np.asarray(next(inputs[name] for name in names if name in inputs))
            for names in (("arms", "arm", "w", "actions"), ("rewards", "reward", "y"), ("probs", "e", "propensities"))
        )
        log = BanditLog(arms.astype(int), rewards.astype(float), probabilities.astype(float))
        scores = aipw_scores(log) if augmented else ipw_scores(log)
        decay = inputs.get("floor_decay", params.get("floor_decay", 0.0))
        values = action_values(scores, evaluation_weights(log.propensity, weighing, decay))
        last = log.propensity.shape[1] - 1
        normal = Confidence(params["alpha"], spread=Spread.NORMAL)
        contrasts = [values.contrast(last, k, normal) for k in range(last)]
        radius = contrasts[0].high - contrasts[0].estimate
        critical = radius / contrasts[0].standard_error
        return {
            "estimate": values.value,
            "stderr": values.standard_error,
            "ci_radius": critical * values.standard_error,
            "contrast_estimate": [one.estimate for one in contrasts],
            "contrast_stderr": [one.standard_error for one in contrasts],
            "contrast_ci_radius": [one.high - one.estimate for one in contrasts],
        }

    return answer


_GREATER, _LESS = Alternative.GREATER, Alternative.LESS
_DELTA, _LOG = RelativeMethod.DELTA, RelativeMethod.LOG_RATIO
METHODS: dict[str, Method] = {
    "z_abs": _absolute(Spread.NORMAL),
    "welch_t_abs": _absolute(Spread.WELCH),
    "welch_t_abs_greater": _absolute(Spread.WELCH, _GREATER),
    "welch_t_abs_less": _absolute(Spread.WELCH, _LESS),
    "pooled_t_abs": _absolute(Spread.POOLED),
    "z_unpooled_abs": _absolute(Spread.NORMAL, biased=True),
    "welch_t_abs_binary_var": _absolute(Spread.WELCH, biased=True),
    "z_pooled_p": _pooled_shares,
    "delta_rel_z": _relative(_DELTA, Spread.NORMAL),
    "delta_rel_welch_dof": _relative(_DELTA),
    "delta_rel_welch_dof_binary_var": _relative(_DELTA, biased=True),
    "log_ratio_welch_rel": _relative(_LOG),
    "log_ratio_z_rel": _relative(_LOG, Spread.NORMAL, biased=True),
    "ratio_delta_abs_z": _absolute(Spread.NORMAL),
    "ratio_delta_abs_welch": _absolute(Spread.WELCH),
    "ratio_delta_rel_welch_dof": _relative(_DELTA),
    "ratio_log_ratio_welch_rel": _relative(_LOG),
    "cuped_abs_z": _absolute(Spread.NORMAL),
    "cuped_abs_welch": _absolute(Spread.WELCH),
    "cuped_rel_unadjusted_baseline_head": _relative(_DELTA),
    "seq_asympcs_abs": _always_valid(relative=False),
    "seq_asympcs_rel": _always_valid(relative=True),
    "bayes_gauss_abs": _bayes(relative=False),
    "bayes_gauss_rel": _bayes(relative=True),
    "srm_chi2": _srm,
    "bonferroni": _corrected(Correction.BONFERRONI),
    "sidak": _corrected(Correction.SIDAK),
    "holm": _corrected(Correction.HOLM),
    "holm_sidak": _corrected(Correction.HOLM_SIDAK),
    "hochberg": _corrected(Correction.HOCHBERG),
    "hommel": _corrected(Correction.HOMMEL),
    "bh": _corrected(Correction.BENJAMINI_HOCHBERG),
    "by": _corrected(Correction.BENJAMINI_YEKUTIELI),
    "power_z": _power(student=False),
    "power_t": _power(student=True),
    "size_z": _size(student=False),
    "size_t": _size(student=True),
    "size_prop_baseline_var": _size(student=False),
    "mde_z": _detectable(student=False),
    "mde_t": _detectable(student=True),
    "ipw_uniform": _bandit(Weighing.UNIFORM, augmented=False),
    "aipw_uniform": _bandit(Weighing.UNIFORM, augmented=True),
    "aipw_lvdl_sqrt_e": _bandit(Weighing.CONSTANT, augmented=True),
    "aipw_twopoint": _bandit(Weighing.TWO_POINT, augmented=True),
    "mwu": lambda inputs, _: {
        "pvalue": rank_test(*(np.asarray(inputs[arm]["y"], dtype=float) for arm in ("control", "treatment")))
    },
}
