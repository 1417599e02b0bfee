"""The use case: would the challenger have earned more than the champion, on customers it was not trained on?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from decision.errors import EncoreError, NotEnoughData, NotFound
from decision.flow.promotion import champion_version, promote
from decision.ledger.base import ENCORE, Ledger
from decision.policies.base import Policy, Situation
from decision.policies.rule import Rule
from decision.policies.uniform import Uniform
from decision.programme.model import Programme
from decision.records import Decision, FloatArray, action_named
from decision.serving import Champion, champion_from
from decision.stages.choice import with_floor
from decision.wiring import Home
from experiments import plots, tracking
from experiments.dataset import Dataset, evaluation_set
from experiments.guardrail_metrics import guardrail_metrics
from experiments.off_policy import ESTIMATORS, Estimate, GateRules, GuardrailMetric, Rounds, Verdict, judge
from experiments.train_report import constant_target

log = logging.getLogger("encore")
ESTIMATED_BY = ("dr", "ips", "snips", "sndr", "switch_dr", "dros", "controlled_dr")
Progress = Callable[[Iterable[Decision]], Iterable[Decision]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Policies with their values by estimator, and the gate's verdict on challenger against champion."""

    challenger: str
    champion: str
    values: Mapping[str, Mapping[str, Estimate]]
    verdict: Verdict
    rows: int


def evaluate(
    home: Home,
    version: str | None,
    *,
    now: datetime,
    rules: GateRules | None = None,
    progress: Progress = iter,
) -> Evaluation:
    """Judge a bundle (the newest by default) on the evaluation set.

    Beside it stand the champion as it serves now and every constant policy.

    Raises
    ------
    NotFound : there is no bundle to judge.
    NotEnoughData : the ledger holds no finished randomised decisions.
    """
    programme, ledger = home.programme(), home.ledger()
    data = evaluation_set(ledger, programme)
    serving, judged = champion_version(ledger), version or newest(home)
    champion = _as_it_serves(serving, home, ledger) if serving else None
    # A challenger is judged as it was trained, also one that served before: a belief of its own would have learned
    # from its judges. One that serves now is the champion, and gains nothing.
    challenger = champion if champion and judged == serving else champion_from(home.bundles.read(judged))
    guarded = guardrail_metrics(data.decisions, data.margin, programme=programme, ledger=ledger)
    found = compare(
        data, programme, challenger, champion, rules=rules or GateRules(), guardrails=guarded, progress=progress
    )
    _log(found, programme, data, now)
    return found


def compare(
    data: Dataset,
    programme: Programme,
    challenger: Champion,
    champion: Champion | None,
    *,
    rules: GateRules,
    guardrails: Sequence[GuardrailMetric] = (),
    progress: Progress = iter,
) -> Evaluation:
    """Judge a challenger on decisions of customers it was not trained on; without a champion, against the rule.

    Raises
    ------
    NotEnoughData : none of the customers is held out.
    """
    if not len(data):
        raise NotEnoughData("Expected finished decisions of held-out customers, found none.", hint="Wait for more.")
    targets, q_hat = _targets(data, programme, challenger, champion, progress)
    rounds = Rounds(data.action, data.value, data.propensity, targets["challenger"], q_hat)
    verdict = judge(
        rounds, targets["champion"], in_sample=False, cluster=data.customers, rules=rules, guardrails=guardrails
    )
    values = {
        name: {by: ESTIMATORS[by].estimate(rounds.with_target(target)) for by in ESTIMATED_BY}
        for name, target in targets.items()
    }
    serving = champion.manifest.version if champion else "business as usual"
    return Evaluation(challenger.manifest.version, serving, values, verdict, len(data))


def newest(home: Home) -> str:
    """Return the version of the newest bundle. Raises `NotFound` when there is none."""
    versions = home.bundles.versions()
    if not versions:
        raise NotFound("Expected a policy bundle, found none.", hint="Run `encore train`.")
    return versions[-1]


def promote_through_gate(
    home: Home, found: Evaluation, *, forced: str | None, now: datetime, actor: str = ENCORE
) -> bool:
    """Promote an evaluated challenger if the gate lets it pass, or by force with a reason; return whether it was.

    `actor` is who wants it, for the audit log.
    """
    if not found.verdict.promote and forced is None:
        return False
    programme = home.programme()
    promote(
        found.challenger,
        programme=programme,
        bundles=home.bundles,
        ledger=home.ledger(),
        reason=f"forced: {forced}" if forced is not None else "passed the gate",
        verdict=found.verdict.sentences(),
        now=now,
        actor=actor,
    )
    try:
        tracking.follow_champion(programme, found.challenger)
    except EncoreError as error:
        # The ledger has it: servers follow already, so the promotion must not look failed.
        log.warning("%s serves, but MLflow's alias champion did not move: %s", found.challenger, error)
    return True


def _as_it_serves(version: str, home: Home, ledger: Ledger) -> Champion:
    """Return the champion with the belief that servers decide with.

    That belief has learned from customers of the evaluation set too, which makes it look better on them than it is:
    the gate so errs on the side of keeping it.
    """
    bundle, belief = home.bundles.read(version), ledger.posterior(version)
    return champion_from(bundle, belief.data, belief.sequence) if belief else champion_from(bundle)


def _targets(
    data: Dataset, programme: Programme, challenger: Champion, champion: Champion | None, progress: Progress
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Return each policy's distributions [n, K] on the log, and the challenger's values [n, K] as reward model."""
    shape = data.allowed.shape
    names = ("challenger", "champion", "business as usual", "uniform")
    targets = {name: np.zeros(shape) for name in names}
    q_hat = np.zeros(shape)
    rule = Rule(programme.business_as_usual)
    place = {action_id: k for k, action_id in enumerate(data.catalogue)}
    for i, decision in enumerate(progress(data.decisions)):
        spot = _Spot(decision, place)
        targets["challenger"][i], q_hat[i] = spot.under(challenger, programme)
        targets["business as usual"][i] = spot.plain(rule)
        targets["uniform"][i] = spot.plain(Uniform())
        targets["champion"][i] = (
            spot.under(champion, programme)[0] if champion is not None else targets["business as usual"][i]
        )
    for k, action_id in enumerate(data.catalogue):
        targets[f"always {action_id}"] = constant_target(data, k)
    return targets, q_hat


@dataclass(frozen=True, slots=True)
class _Spot:
    """One logged decision, on which policies are asked what they would have done."""

    decision: Decision
    place: Mapping[str, int]

    def plain(self, policy: Policy) -> FloatArray:
        allowed = tuple(a for a in self.decision.allowed if a in self.place)
        actions = tuple(action_named(a) for a in allowed)
        return self._spread(allowed, policy.distribution(Situation(self.decision.trigger, actions, None)))

    def under(self, champion: Champion, programme: Programme) -> tuple[FloatArray, FloatArray]:
        allowed = tuple(a for a in self.decision.allowed if a in self.place and a in champion.index)
        actions = tuple(action_named(a) for a in allowed)
        store = self.decision.store if self.decision.store in programme.stores else None
        goal = programme.goal_of(store)
        valued = champion.value(programme, goal, allowed=actions, context=self.decision.context)
        # It acts under the prices of budgets that were in force; what it is worth is true money.
        valued = valued.charged_as(self.decision, actions)
        situation = Situation(self.decision.trigger, actions, valued.outlook)
        distribution = with_floor(champion.policy.distribution(situation), programme.exploration_floor)
        return self._spread(allowed, distribution), self._spread(allowed, valued.value)

    def _spread(self, allowed: tuple[str, ...], numbers: FloatArray) -> FloatArray:
        row = np.zeros(len(self.place))
        row[[self.place[a] for a in allowed]] = numbers
        return row


def _log(found: Evaluation, programme: Programme, data: Dataset, now: datetime) -> None:
    parameters = {
        "challenger": found.challenger,
        "champion": found.champion,
        "rows": found.rows,
        "data_sha256": data.sha256,
        "programme_digest": programme.digest,
    }
    gain = found.verdict.contrast
    tags = {"encore.step": "evaluate", "encore.promote": str(found.verdict.promote).lower()}
    with tracking.run(programme, f"evaluate {now:%Y-%m-%d %H:%M}", parameters=parameters, tags=tags) as mlflow:
        for policy, estimates in found.values.items():
            key = policy.replace("@", " at ").replace(" ", "_")
            for by, estimate in estimates.items():
                mlflow.log_metrics(
                    {
                        f"{key}.{by}": estimate.value,
                        f"{key}.{by}_low": estimate.low,
                        f"{key}.{by}_high": estimate.high,
                        f"{key}.effective_sample_size": estimate.effective_sample_size,
                    }
                )
        mlflow.log_metrics({"gain": gain.gain, "gain_low": gain.low, "gain_high": gain.high})
        mlflow.log_metric("gain_lower_bound", gain.lower_bound)
        for finding in found.verdict.guardrails:
            key = f"harm.{finding.name.replace(' ', '_')}"
            mlflow.log_metrics(
                {key: finding.harm.gain, f"{key}_low": finding.harm.low, f"{key}_high": finding.harm.high}
            )
        mlflow.log_text("\n".join(found.verdict.sentences()), "verdict.txt")
        by_dr = {policy: estimates["dr"] for policy, estimates in found.values.items()}
        figure = plots.policy_values(
            by_dr,
            title="Value on customers nobody was trained on (doubly robust)",
            unit=programme.currency,
            marked=("challenger", "champion"),
        )
        tracking.log_figures(mlflow, {"policy_value": figure})
