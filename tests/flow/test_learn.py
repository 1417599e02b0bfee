"""The belief is a function of the ledger's content alone, bit for bit."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from decision.bundle.store import Bundle, BundleStore, unpack
from decision.flow.decide import decide
from decision.flow.learn import Learned, Student, learn
from decision.flow.retain import retain
from decision.flow.sweep import sweep
from decision.ledger.base import PosteriorRecord, Rewarded
from decision.ledger.sqlite import SqliteLedger
from decision.policies.posterior import Posterior
from decision.policies.registry import BANDITS
from decision.programme.model import Programme, Retention
from decision.records import Group, Outcome, Reward, RewardStatus
from decision.serving import Serving, base_posterior, champion_from, posterior_from
from tests import support
from tests.support import DAY, NOW, asked, bought, decided, refunded

SHARES = {Group.HOLDOUT: 0.1, Group.RANDOM: 0.3, Group.BUSINESS_AS_USUAL: 0.1, Group.POLICY: 0.5}
SHOP = support.programme(shares=SHARES)
DAYS = 6
END = NOW + 100 * DAY
N = 90


@pytest.fixture
def bundle(bundles: BundleStore) -> Bundle:
    return support.write_bundle(bundles, support.manifest(trained_through=NOW - DAY / 2))


@pytest.fixture
def open_ledger(tmp_path: Path) -> Iterator[Callable[[], SqliteLedger]]:
    opened: list[SqliteLedger] = []

    def create() -> SqliteLedger:
        opened.append(SqliteLedger.create(tmp_path / f"{len(opened)}.db", durable=False))
        return opened[-1]

    yield create
    for ledger in opened:
        ledger.close()


def lived(ledger: SqliteLedger, bundle: Bundle | None, shop: Programme = SHOP) -> list[Outcome]:
    """Make the same decisions in any ledger, and return what happens to their customers later."""
    rng = random.Random(8)
    serving = Serving(shop, champion_from(bundle) if bundle else None)
    events: list[Outcome] = []
    for n in range(N):
        at = NOW + n * DAYS * DAY / N
        features = {"age": rng.gauss(40, 10), "tier": rng.choice(["gold", "silver", "bronze"])}
        request = asked(f"d-{rng.getrandbits(40):x}", f"c-{n}", features=features)
        decision = decide(request, serving=serving, ledger=ledger, now=at)
        if rng.random() < 0.4:
            events.append(bought(at + rng.uniform(1, 27) * DAY, f"o-{n}", customer_id=f"c-{n}", message_id=f"b-{n}"))
            if rng.random() < 0.3:
                late = at + rng.uniform(30, 40) * DAY
                events.append(refunded(late, f"o-{n}", customer_id=f"c-{n}", message_id=f"r-{n}"))
        assert decision.decided_at == at
    return events


def belief(ledger: SqliteLedger, bundle: Bundle) -> bytes:
    found = ledger.posterior(bundle.version)
    assert found is not None
    return found.data


def taught(ledger: SqliteLedger, bundle: Bundle, *, now: object = END, shop: Programme = SHOP) -> Learned:
    sweep(programme=shop, ledger=ledger, now=now)  # type: ignore[arg-type]
    return learn(bundle, programme=shop, ledger=ledger, now=now)  # type: ignore[arg-type]


@pytest.fixture
def expected(bundle: Bundle, open_ledger: Callable[[], SqliteLedger]) -> bytes:
    """Return the belief when everything is heard of in order and learned in one go."""
    ledger = open_ledger()
    ledger.record_outcomes(lived(ledger, bundle), now=NOW)
    assert taught(ledger, bundle).outcomes > 50
    return belief(ledger, bundle)


def test_in_one_go_or_day_by_day(bundle: Bundle, open_ledger: Callable[[], SqliteLedger], expected: bytes) -> None:
    ledger = open_ledger()
    waiting = sorted(lived(ledger, bundle), key=lambda event: event.occurred_at)
    outcomes = 0
    for day in range(100):
        now = NOW + day * DAY
        while waiting and waiting[0].occurred_at <= now:
            ledger.record_outcomes([waiting.pop(0)], now=now)
        learned = taught(ledger, bundle, now=now)
        assert not learned.replayed
        outcomes += learned.outcomes
    assert belief(ledger, bundle) == expected
    assert outcomes == posterior_from(unpack(expected)).n


@pytest.mark.parametrize("seed", range(3))
def test_whatever_the_order_of_arrival(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger], expected: bytes, seed: int
) -> None:
    """Half of the events arrive long after their bucket was learned: the belief is then learned anew."""
    ledger, rng = open_ledger(), random.Random(seed)
    events = lived(ledger, bundle)
    rng.shuffle(events)
    replayed = 0
    for place, start in enumerate(range(0, len(events), 10)):
        now = NOW + (place * 20) * DAY
        ledger.record_outcomes(events[start : start + 10], now=now)
        replayed += taught(ledger, bundle, now=now).replayed
    taught(ledger, bundle, now=END + 100 * DAY)
    upto = ledger.posterior(bundle.version)
    assert upto is not None
    assert posterior_from(unpack(upto.data)).n == posterior_from(unpack(expected)).n
    assert upto.data == expected
    assert replayed > 0


def test_holdout_and_business_as_usual_never_teach(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger], expected: bytes
) -> None:
    ledger = open_ledger()
    events = lived(ledger, bundle)
    groups = {row["customer_id"]: row["grp"] for row in ledger.rows("decisions")}
    teaching = [c for c, group in groups.items() if group in ("random", "policy")]
    assert len(groups) - len(teaching) == 20
    assert posterior_from(unpack(expected)).n == len(teaching)
    # Whatever the others do, the belief stays the same.
    events += [bought(NOW + 10 * DAY, f"x-{c}", customer_id=c) for c in groups if c not in teaching]
    ledger.record_outcomes(events, now=NOW)
    taught(ledger, bundle)
    assert belief(ledger, bundle) == expected


def test_the_policy_group_teaches_nothing_before_the_first_promotion(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    """The shop's own rule decides for it then, with certainty; the random group's draws do teach."""
    ledger = open_ledger()
    lived(ledger, None)
    taught(ledger, bundle)
    groups = [row["grp"] for row in ledger.rows("decisions")]
    assert groups.count("policy") > 30
    assert posterior_from(unpack(belief(ledger, bundle))).n == groups.count("random")


def test_the_belief_is_one_laplace_step_a_day(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger], expected: bytes
) -> None:
    """Recomputed from the exported log."""
    ledger = open_ledger()
    ledger.record_outcomes(lived(ledger, bundle), now=NOW)
    sweep(programme=SHOP, ledger=ledger, now=END)
    posterior, champion = base_posterior(bundle), champion_from(bundle)
    features = champion.policy.features  # type: ignore[attr-defined]
    start = bundle.manifest.trained_through
    for day in range(DAYS + 1):
        rows = [
            row
            for row in sorted(ledger.rewarded(), key=lambda row: row.decision.decision_id)
            if start + day * DAY <= row.decision.decided_at < start + (day + 1) * DAY
            and row.decision.group in (Group.RANDOM, Group.POLICY)
        ]
        x = np.array([champion.encoder.encode(row.decision.context) for row in rows])
        index = np.array([champion.index[row.decision.action_id] for row in rows])
        odds = np.array([champion.model.repurchase.predict(v)[k] for v, k in zip(x, index, strict=True)])
        posterior = posterior.updated(
            features.design(index, x),
            np.log(odds / (1 - odds)),
            np.array([float(row.reward.repurchased) for row in rows]),
        )
    found = posterior_from(unpack(expected))
    assert found.n == posterior.n
    np.testing.assert_allclose(found.mean, posterior.mean, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.precision, posterior.precision, rtol=1e-9)


def test_nothing_is_learned_before_a_whole_day_has_matured(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    ledger = open_ledger()
    lived(ledger, bundle)
    first = bundle.manifest.trained_through + DAY + 42 * DAY
    assert taught(ledger, bundle, now=first - support.SECOND) == Learned(0, 0, replayed=False)
    assert ledger.posterior(bundle.version) is None
    learned = taught(ledger, bundle, now=first)
    assert (learned.buckets, learned.replayed) == (1, False)
    assert learned.outcomes > 0
    assert taught(ledger, bundle, now=first) == Learned(0, 0, replayed=False)


def test_a_late_refund_is_learned_anew_and_no_other_way_round(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    early, late = open_ledger(), open_ledger()
    events = lived(early, bundle)
    assert lived(late, bundle) == events
    teaching = {r["customer_id"] for r in early.rows("decisions") if r["grp"] in ("random", "policy")}
    whole = [e for e in events if e.message_id.startswith("b-") and e.customer_id in teaching]
    refund = refunded(END + DAY, f"o-{whole[0].customer_id[2:]}", customer_id=whole[0].customer_id)
    early.record_outcomes([*whole, refund], now=NOW)
    late.record_outcomes(whole, now=NOW)
    assert taught(late, bundle).outcomes > 0
    before = belief(late, bundle)
    late.record_outcomes([refund], now=END)
    learned = taught(late, bundle, now=END + DAY)
    assert learned.replayed
    taught(early, bundle, now=END + DAY)
    assert belief(late, bundle) == belief(early, bundle) != before
    assert not taught(late, bundle, now=END + DAY).replayed


class Crash(Exception):
    """The process dies here."""


class Dying:
    """A ledger whose process dies at the n-th write of a round of learning."""

    def __init__(self, ledger: SqliteLedger, *, after: int) -> None:
        self.ledger, self.left = ledger, after

    def __getattr__(self, name: str) -> object:
        if name in ("record_posterior", "move_cursor", "record_rewards", "close_reservations"):
            if self.left == 0:
                raise Crash
            self.left -= 1
        return getattr(self.ledger, name)


@pytest.mark.parametrize("after", range(8))
def test_a_crash_between_any_two_writes_is_harmless(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger], expected: bytes, after: int
) -> None:
    ledger = open_ledger()
    events = lived(ledger, bundle)
    half = len(events) // 2
    ledger.record_outcomes(events[:half], now=NOW)
    taught(ledger, bundle, now=NOW + 45 * DAY)
    ledger.record_outcomes(events[half:], now=NOW)
    try:
        dying = Dying(ledger, after=after)
        sweep(programme=SHOP, ledger=dying, now=END)  # type: ignore[arg-type]
        learn(bundle, programme=SHOP, ledger=dying, now=END)  # type: ignore[arg-type]
    except Crash:
        pass
    taught(ledger, bundle)
    assert belief(ledger, bundle) == expected


def test_a_window_that_was_shortened_meanwhile_loses_no_decision(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    """Buckets look mature by the new window while rewards still wait for the old one."""
    ledger = open_ledger()
    lived(ledger, bundle)
    shorter = replace(SHOP, attribution_window_days=7, refund_window_days=0)
    taught(ledger, bundle, now=NOW + 20 * DAY, shop=shorter)
    taught(ledger, bundle, now=END, shop=shorter)
    teaching = sum(row["grp"] in ("random", "policy") for row in ledger.rows("decisions"))
    assert posterior_from(unpack(belief(ledger, bundle))).n == teaching


def test_a_trial_that_is_imported_afterwards_is_learned_from(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    ledger = open_ledger()
    taught(ledger, bundle)
    rewards = [
        Rewarded(
            decided(decision_id=f"t-{n}", customer_id=f"t-{n}", at=NOW, policy_version="trial:mail"),
            Reward(f"t-{n}", RewardStatus.FINAL, True, n % 3 == 0, False, 0, 0, 0, 0, END),
        )
        for n in range(30)
    ]
    ledger.import_decisions(rewards)
    ledger.import_decisions(
        [
            replace(r, decision=structs.replace(r.decision, decision_id="old", decided_at=NOW - 99 * DAY))
            for r in rewards[:1]
        ]
    )
    assert taught(ledger, bundle) == Learned(30, (END - 42 * DAY - bundle.manifest.trained_through) // DAY, True)


def test_actions_that_the_policy_does_not_know_teach_nothing(
    bundles: BundleStore, open_ledger: Callable[[], SqliteLedger]
) -> None:
    less = support.write_bundle(bundles, support.manifest(actions=("control", "discount@email")))
    student = Student.of(less)
    assert student.takes(decided("discount@email"))
    assert not student.takes(decided("shipping@email"))


def test_what_was_no_choice_teaches_nothing(bundles: BundleStore) -> None:
    """Only one action was allowed, or only one that the policy knows."""
    student = Student.of(support.write_bundle(bundles, support.manifest(actions=("control", "discount@email"))))
    for allowed, teaches in (
        (("control", "discount@email"), True),
        (("control",), False),
        (("control", "shipping@email"), False),
    ):
        chances = tuple(1 / len(allowed) for _ in allowed)
        decision = decided("control", allowed=allowed, distribution=chances, propensity=chances[0])
        assert student.takes(decision) is teaches


def test_a_bundle_without_a_bandit_learns_nothing(
    bundles: BundleStore, open_ledger: Callable[[], SqliteLedger]
) -> None:
    ledger, greedy = open_ledger(), support.write_bundle(bundles, support.manifest(policy="greedy_uplift"))
    lived(ledger, greedy)
    assert taught(ledger, greedy) == Learned(0, 0, replayed=False)
    assert ledger.posterior(greedy.version) is None


@pytest.mark.parametrize("policy", BANDITS)
def test_every_bandit_is_taught_the_same(
    bundle: Bundle, bundles: BundleStore, open_ledger: Callable[[], SqliteLedger], expected: bytes, policy: str
) -> None:
    """What is learned depends on what was done and what came of it, not on who will use it."""
    of = support.manifest(policy=policy, trained_through=bundle.manifest.trained_through)
    other = support.write_bundle(bundles, of)
    ledger = open_ledger()
    ledger.record_outcomes(lived(ledger, bundle), now=NOW)
    assert taught(ledger, other).outcomes > 50
    assert belief(ledger, other) == expected


def test_a_broken_belief_is_noticed(bundle: Bundle, open_ledger: Callable[[], SqliteLedger]) -> None:
    from decision.errors import LedgerError

    ledger = open_ledger()
    ledger.record_posterior(PosteriorRecord(bundle.version, 0, NOW, 1, b"data"))
    ledger._db.execute("UPDATE posteriors SET data = x'00'")
    with pytest.raises(LedgerError, match="match its hash"):
        ledger.posterior(bundle.version)


OPEN_DAYS = 60


def come_and_go(ledger: SqliteLedger, *, lift: float, until: int) -> list[Outcome]:
    """Let 40 customers a day come for 60 days, and return what they do before the day `until`.

    From the 50th day on the discount lifts the odds of coming back by `lift`; who does takes ten days on average.
    """
    rng = random.Random(3)
    serving = Serving(replace(SHOP, shares={group: float(group is Group.RANDOM) for group in Group}), None)
    events: list[Outcome] = []
    for day in range(OPEN_DAYS):
        for n in range(40):
            at, customer = NOW + day * DAY + n * support.SECOND, f"c-{day}-{n}"
            request = asked(f"d-{rng.getrandbits(40):x}", customer, features={"age": rng.gauss(40, 10), "tier": "gold"})
            decision = decide(request, serving=serving, ledger=ledger, now=at)
            odds = 0.3 + lift * (decision.action_id == "discount@email" and day >= 50)
            later = at + min(rng.expovariate(1 / 10), 27.0) * DAY
            if rng.random() < odds and later < NOW + until * DAY:
                events.append(bought(later, f"o-{customer}", customer_id=customer, message_id=f"b-{customer}"))
    return events


def served(ledger: SqliteLedger, bundle: Bundle) -> tuple[Posterior, Posterior]:
    """Return what is served, and what is kept."""
    arrays = unpack(belief(ledger, bundle))
    return posterior_from(arrays), posterior_from(arrays, name="lasting")


def test_decisions_that_are_open_count_for_what_they_show_so_far(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    """Ten days after a discount begins to work none of its rewards is final, yet what is served knows."""
    features, now = Student.of(bundle).features, NOW + OPEN_DAYS * DAY
    x, discount = np.zeros(features.width), np.array([support.manifest().actions.index("discount@email")])
    lifts = []
    for lift in (0.0, 0.6):
        ledger = open_ledger()
        ledger.record_outcomes(come_and_go(ledger, lift=lift, until=OPEN_DAYS), now=now)
        taught(ledger, bundle, now=now)
        now_served, kept = served(ledger, bundle)
        assert now_served.n == kept.n
        lifts.append([float((features.design(discount, x) @ of.mean).item()) for of in (now_served, kept)])
    (served_without, kept_without), (served_with, kept_with) = lifts
    assert kept_with == pytest.approx(kept_without, abs=1e-9)
    assert served_with > served_without + 0.1


def test_what_has_not_shown_yet_is_no_refusal(bundle: Bundle, open_ledger: Callable[[], SqliteLedger]) -> None:
    """Taking silence for a no would pull the odds down: 26 of the 60 days show only some of those who come back."""
    ledger, now = open_ledger(), NOW + OPEN_DAYS * DAY
    ledger.record_outcomes(come_and_go(ledger, lift=0.0, until=OPEN_DAYS), now=now)
    taught(ledger, bundle, now=now)
    now_served, kept = served(ledger, bundle)
    student = Student.of(bundle)
    decisions = [d for d, _ in ledger.unfinished(start=kept_through(ledger, bundle)) if student.takes(d)]
    design, offset = student.rows(decisions)
    bought_so_far = np.array(
        [
            float(reward is not None and reward.repurchased)
            for d, reward in ledger.unfinished(start=kept_through(ledger, bundle))
            if student.takes(d)
        ]
    )
    naive = kept.updated(design, offset, bought_so_far)
    # The truth, 0.3 for everybody, is what everything that is final says as well.
    expected, found, wrong = (
        float((1 / (1 + np.exp(-(offset + design @ of.mean)))).mean()) for of in (kept, now_served, naive)
    )
    assert abs(found - expected) < 0.02
    assert wrong < found - 0.03


def kept_through(ledger: SqliteLedger, bundle: Bundle) -> datetime:
    stored = ledger.posterior(bundle.version)
    assert stored is not None
    return stored.through


def test_a_refund_takes_back_what_an_open_decision_said(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger]
) -> None:
    never, refunded_later = open_ledger(), open_ledger()
    now = NOW + OPEN_DAYS * DAY
    events = come_and_go(never, lift=0.0, until=OPEN_DAYS)
    assert come_and_go(refunded_later, lift=0.0, until=OPEN_DAYS) == events
    (last,) = [e for e in events if e.customer_id.startswith("c-55-")][:1]
    never.record_outcomes([e for e in events if e is not last], now=now)
    refunded_later.record_outcomes(events, now=now)
    taught(refunded_later, bundle, now=now)
    before = belief(refunded_later, bundle)
    back = refunded(now, str(last.properties["order_id"]), customer_id=last.customer_id, message_id="r-1")
    refunded_later.record_outcomes([back], now=now)
    later = now + timedelta(hours=1)
    taught(refunded_later, bundle, now=later)
    taught(never, bundle, now=later)
    assert belief(refunded_later, bundle) != before
    assert belief(refunded_later, bundle) == belief(never, bundle)


def test_open_decisions_are_looked_at_once_an_hour(bundle: Bundle, open_ledger: Callable[[], SqliteLedger]) -> None:
    ledger, now = open_ledger(), NOW + OPEN_DAYS * DAY
    ledger.record_outcomes(come_and_go(ledger, lift=0.0, until=OPEN_DAYS), now=now)
    sequences = []
    for minutes in (0, 30, 61):
        taught(ledger, bundle, now=now + timedelta(minutes=minutes))
        stored = ledger.posterior(bundle.version)
        assert stored is not None
        sequences.append(stored.sequence)
    assert sequences[0] == sequences[1] < sequences[2]


def test_of_very_many_open_decisions_a_sample_tells(
    bundle: Bundle, open_ledger: Callable[[], SqliteLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, now = open_ledger(), NOW + OPEN_DAYS * DAY
    ledger.record_outcomes(come_and_go(ledger, lift=0.0, until=OPEN_DAYS), now=now)
    taught(ledger, bundle, now=now)
    everything, kept = served(ledger, bundle)
    monkeypatch.setattr("decision.flow.learn.MOST_OPEN", ledger.counts()["unfinished"] // 4)
    taught(ledger, bundle, now=now + timedelta(hours=1))
    sampled, still = served(ledger, bundle)
    np.testing.assert_array_equal(kept.precision, still.precision)
    told, all_told = (np.trace(of.precision - kept.precision) for of in (sampled, everything))
    assert 0.15 < told / all_told < 0.35


def test_what_was_learned_stays_when_decisions_go(bundle: Bundle, open_ledger: Callable[[], SqliteLedger]) -> None:
    """A replay is exact while its decisions are all there; where some are gone, a late refund changes nothing."""
    old, whole = Retention(decisions_days=98), Retention(decisions_days=400)
    for retention, replayed in ((whole, True), (old, False)):
        ledger, shop = open_ledger(), replace(SHOP, retention=retention)
        events = lived(ledger, bundle)
        refunds = [event for event in events if event.message_id.startswith("r-")]
        ledger.record_outcomes([event for event in events if event not in refunds], now=NOW)
        taught(ledger, bundle)
        before = belief(ledger, bundle)
        removed = retain(path=ledger.path, ledger=ledger, programme=shop, now=END)
        assert bool(removed) is not replayed
        assert taught(ledger, bundle).outcomes == 0
        assert belief(ledger, bundle) == before
        late = next(e for e in refunds if int(e.message_id[2:]) > N // 2)
        ledger.record_outcomes([late], now=END)
        assert taught(ledger, bundle).replayed is replayed
        assert (belief(ledger, bundle) != before) is replayed
