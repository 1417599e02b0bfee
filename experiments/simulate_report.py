"""Runs shops side by side and says what came out: a table with intervals over seeds, and regret over time."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from decision.records import FloatArray
from experiments import plots
from experiments.off_policy.estimate import half_width, two_sided
from experiments.simulate import POLICIES, Plan, Result, run_shop

PERIOD_DAYS = 10


def simulate(plan: Plan, *, out: Path, tell: Callable[[str], None]) -> Iterator[str]:
    """Run every shop of the plan, two at a time, and yield the lines of the report; files go to `out`."""
    tell(f"{len(plan.seeds)} simulated shops, {plan.trial_days} days of trial and {plan.days} of service each")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    results: list[Result] = []
    with context.Pool(min(os.cpu_count() or 1, len(plan.seeds))) as pool:
        for result in pool.imap_unordered(_Run(plan), plan.seeds):
            results.append(result)
            tell(f"seed {result.seed} done: the gate says {'promote' if result.promoted else 'wait'}")
    results.sort(key=lambda r: r.seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / "results.json").write_text(json.dumps([_as_json(r) for r in results], indent=2))
    regret_figure(results).savefig(out / "regret.png")
    yield from table(results)
    yield f"plot: {out / 'regret.png'}, figures: {out / 'results.json'}"


class _Run:
    """A shop to run in another process."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def __call__(self, seed: int) -> Result:
        return run_shop(seed, self.plan)


def interval(numbers: Sequence[float]) -> tuple[float, float, float]:
    """Return mean and Student's 95 % interval over seeds; infinite with a single one."""
    sample = np.array(numbers)
    error = float(sample.std(ddof=1) / np.sqrt(len(sample))) if len(sample) > 1 else float("inf")
    half = half_width(error, len(sample) - 1, two_sided(0.95))
    return float(sample.mean()), float(sample.mean()) - half, float(sample.mean()) + half


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the value per decision of every policy and what Encore gains, with intervals over seeds."""
    n = int(sum(r.decisions.sum() for r in results))
    yield f"simulated: {len(results)} shops, {n:,} decisions of the policy group; EUR per decision, 95 % intervals"
    yield f"{'policy':20} {'all days':>9} {'interval':>20} {'last third':>11} {'interval':>20}"
    for policy in POLICIES:
        whole, late = (interval([r.value(policy, last=share) for r in results]) for share in (1.0, 1 / 3))
        yield (
            f"{policy:20} {whole[0]:9.4f} {f'[{whole[1]:.4f}, {whole[2]:.4f}]':>20} "
            f"{late[0]:11.4f} {f'[{late[1]:.4f}, {late[2]:.4f}]':>20}"
        )
    for rival in ("best constant", "business as usual"):
        for share, when in ((1.0, "over all days"), (1 / 3, "in the last third")):
            gains = [r.value("Encore", last=share) - r.value(rival, last=share) for r in results]
            mean, low, high = interval(gains)
            yield f"Encore - {rival} {when}: {mean:+.4f} [{low:+.4f}, {high:+.4f}]"
    mean, low, high = interval([100 * captured(r) for r in results])
    yield f"of the headroom between best constant and oracle Encore takes {mean:.0f} % [{low:.0f}, {high:.0f}]"
    yield f"on the trial alone, the gate would have promoted {sum(r.promoted for r in results)} of {len(results)}"


def captured(result: Result) -> float:
    """Return which share of the headroom between the best constant and the oracle Encore took over all days."""
    best = result.value("best constant")
    return (result.value("Encore") - best) / (result.value("oracle") - best)


def regret_figure(results: Sequence[Result]) -> Any:
    """Return the plot of regret per decision over time."""
    curves = {policy: _regret(results, policy) for policy in POLICIES if policy not in ("oracle",)}
    return plots.regret_over_time(
        curves,
        title="Regret per decision over time (simulated shops; band: 95 % interval over shops)",
        xlabel=f"periods of {PERIOD_DAYS} days of service",
        ylabel="EUR below the best action, per decision",
    )


def _regret(results: Sequence[Result], policy: str) -> FloatArray:
    lines = []
    for r in results:
        gap = (r.daily[POLICIES.index("oracle")] - r.daily[POLICIES.index(policy)]) * r.decisions
        periods = len(gap) // PERIOD_DAYS
        cut = periods * PERIOD_DAYS
        weights = r.decisions[:cut].reshape(periods, PERIOD_DAYS).sum(axis=1)
        lines.append(gap[:cut].reshape(periods, PERIOD_DAYS).sum(axis=1) / weights)
    return np.array(lines)


def _as_json(result: Result) -> dict[str, object]:
    return {
        "seed": result.seed,
        "promoted": result.promoted,
        "verdict": list(result.verdict),
        "best_constant": result.best_constant,
        "programme_value": result.programme_value,
        "value": {policy: result.value(policy) for policy in POLICIES},
        "last_third": {policy: result.value(policy, last=1 / 3) for policy in POLICIES},
    }
