"""A challenger that earns more may still be refused, for what else it does."""

import numpy as np
import pytest

from decision.errors import InvalidInput
from experiments.off_policy import Burden, GuardrailMetric, Reason, Rounds, Verdict, Worse, judge

N = 8_000


def judged(*, unsubscribes: float, worse: Worse = Worse.HIGHER, seed: int = 1, **metric: object) -> Verdict:
    """Action 1 earns 1 more and makes `unsubscribes` of customers go, beside 2 % under action 0."""
    rng = np.random.default_rng(seed)
    action = rng.integers(2, size=N)
    rounds = Rounds(
        action=action,
        reward=rng.normal(size=N) + action,
        propensity=np.full(N, 0.5),
        target=np.tile([0.1, 0.9], (N, 1)),
        q_hat=np.tile([0.1, 0.9], (N, 1)),
    )
    outcome = (rng.random(N) < np.where(action == 1, unsubscribes, 0.02)).astype(float)
    outcome = outcome if worse is Worse.HIGHER else 1 - outcome
    guardrail = GuardrailMetric("unsubscribe rate", outcome, worse, **metric)  # type: ignore[arg-type]
    return judge(rounds, np.tile([0.9, 0.1], (N, 1)), in_sample=False, guardrails=[guardrail])


@pytest.mark.parametrize("worse", Worse)
def test_a_proven_harm_vetoes_a_proven_gain(worse: Worse) -> None:
    verdict = judged(unsubscribes=0.06, worse=worse)
    assert verdict.contrast.lower_bound > 0
    assert verdict.reasons == (Reason.GUARDRAIL_METRIC,)
    assert verdict.guardrails[0].harm.gain == pytest.approx(0.8 * 0.04, abs=0.01)
    said = " ".join(verdict.sentences())
    assert "Keep the champion. A guardrail metric forbids it, whatever the gain." in said
    sign = "+" if worse is Worse.HIGHER else "-"
    assert f"Guardrail veto: unsubscribe rate changes by {sign}0.03" in said


def test_a_harm_within_the_margin_is_tolerated() -> None:
    verdict = judged(unsubscribes=0.06, margin=0.05)
    assert verdict.promote
    assert any(sentence.startswith("Guardrail passed: unsubscribe rate") for sentence in verdict.sentences())


def test_without_harm_a_veto_is_as_rare_as_the_level_says() -> None:
    vetoes = [not judged(unsubscribes=0.02, seed=seed).promote for seed in range(200)]
    # 5 % of 200 with a Monte-Carlo error of 1.5 points.
    assert np.mean(vetoes) <= 0.095


def test_under_the_burden_of_safety_not_knowing_is_a_veto() -> None:
    assert not judged(unsubscribes=0.02, burden=Burden.SAFETY).promote
    assert judged(unsubscribes=0.02, burden=Burden.SAFETY, margin=0.02).promote


def test_a_metric_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput, match="margin of returns must be at least 0"):
        GuardrailMetric("returns", np.zeros(2), Worse.HIGHER, margin=-1)
    rounds = Rounds(np.array([0, 1]), np.zeros(2), np.full(2, 0.5), np.full((2, 2), 0.5), np.zeros((2, 2)))
    with pytest.raises(InvalidInput, match=r"returns must have shape \[2\], found \[3\]"):
        judge(rounds, rounds.target, in_sample=False, guardrails=[GuardrailMetric("returns", np.zeros(3), Worse.LOWER)])
