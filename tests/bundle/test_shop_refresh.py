"""A running server follows programme, promotions, rollbacks and beliefs, and keeps the last good of each."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest

from decision.bundle.store import Bundle, pack
from decision.errors import LedgerError
from decision.flow.promotion import promote, rollback
from decision.ledger.base import PosteriorRecord
from decision.policies.thompson import Thompson
from decision.serving import champion_from, posterior_arrays
from decision.wiring import Home, Shop
from tests import support
from tests.support import NOW, PROGRAMME

_tick = count(1)
SHARES = "\n[measurement_groups]\nholdout = 0.0\nrandom = 0.0\nbusiness_as_usual = 0.0\npolicy = 1.0\n"


@pytest.fixture
def shop(home: Home) -> Iterator[Shop]:
    shop = Shop(home)
    yield shop
    shop.close()


def edit(home: Home, text: str) -> None:
    home.programme_path.write_text(text)
    at = time.time() + next(_tick)
    os.utime(home.programme_path, (at, at))


def promoted(shop: Shop, bundle: Bundle) -> None:
    promote(
        bundle.version,
        programme=shop.serving.programme,
        bundles=shop.home.bundles,
        ledger=shop.ledger,
        reason="better",
        verdict=(),
        now=NOW,
    )


def believe(shop: Shop, bundle: Bundle, *, n: int) -> None:
    champion = champion_from(bundle)
    assert isinstance(champion.policy, Thompson)
    data = pack(posterior_arrays(replace(champion.policy.posterior, n=n)))
    shop.ledger.record_posterior(PosteriorRecord(bundle.version, 0, NOW, n, data))


def serving(shop: Shop) -> str:
    shop.refresh()
    return shop.serving.version


def test_before_any_promotion_business_as_usual_serves(shop: Shop) -> None:
    assert serving(shop) == "business_as_usual"
    assert shop.faults == {}


def test_promotion_belief_and_rollback_are_followed(shop: Shop) -> None:
    a, b = (support.write_bundle(shop.home.bundles, seed=seed) for seed in (1, 2))
    promoted(shop, a)
    assert serving(shop) == f"{a.version}+0"
    believe(shop, a, n=5)
    assert serving(shop) == f"{a.version}+1"
    assert shop.serving.champion is not None
    assert isinstance(shop.serving.champion.policy, Thompson)
    assert shop.serving.champion.policy.posterior.n == 5
    promoted(shop, b)
    assert serving(shop) == f"{b.version}+0"
    believe(shop, a, n=9)
    assert serving(shop) == f"{b.version}+0", "a belief of another bundle is not ours"
    rollback(bundles=shop.home.bundles, ledger=shop.ledger, reason="worse", now=NOW)
    assert serving(shop) == f"{a.version}+2", "the learning went on meanwhile"


def test_rolled_back_to_business_as_usual_and_promoted_again(shop: Shop) -> None:
    bundle = support.write_bundle(shop.home.bundles)
    for _ in range(2):
        promoted(shop, bundle)
        assert serving(shop) == f"{bundle.version}+0"
        rollback(bundles=shop.home.bundles, ledger=shop.ledger, reason="worse", now=NOW)
        assert serving(shop) == "business_as_usual"
        assert shop.serving.champion is None


def test_what_has_not_changed_is_not_read_again(shop: Shop) -> None:
    promoted(shop, support.write_bundle(shop.home.bundles))
    shop.refresh()
    before = shop.serving
    shop.refresh()
    assert shop.serving.champion is before.champion
    assert shop.serving.programme is before.programme


def test_a_second_server_serves_the_same(shop: Shop, home: Home) -> None:
    bundle = support.write_bundle(home.bundles)
    promoted(shop, bundle)
    believe(shop, bundle, n=5)
    assert Shop(home).serving.version == serving(shop) == f"{bundle.version}+1"


def test_an_edited_programme_is_followed(shop: Shop, home: Home) -> None:
    edit(home, PROGRAMME.replace("Test shop", "New shop"))
    shop.refresh()
    assert shop.serving.programme.name == "New shop"


@pytest.mark.parametrize("text", ["[programme", PROGRAMME.replace("percent = 10", "percent = -1"), "", "\udcff"])
def test_a_broken_programme_is_refused_and_the_last_good_one_stays(shop: Shop, home: Home, text: str) -> None:
    home.programme_path.write_bytes(text.encode(errors="surrogateescape"))
    os.utime(home.programme_path, (1, 1))
    shop.refresh()
    assert shop.serving.programme.name == "Test shop"
    assert shop.faults == {"InvalidProgramme": 1}
    shop.refresh()
    assert shop.faults == {"InvalidProgramme": 1}, "told once"
    edit(home, PROGRAMME.replace("Test shop", "New shop"))
    shop.refresh()
    assert shop.serving.programme.name == "New shop"


def test_a_programme_that_is_gone_stays_in_force(shop: Shop, home: Home) -> None:
    home.programme_path.unlink()
    shop.refresh()
    assert shop.serving.programme.name == "Test shop"
    assert shop.faults == {"NotFound": 1}


def test_a_broken_bundle_keeps_the_last_good_one_and_the_programme_is_still_followed(shop: Shop, home: Home) -> None:
    good, bad = (support.write_bundle(home.bundles, seed=seed) for seed in (1, 2))
    promoted(shop, good)
    shop.refresh()
    promoted(shop, bad)
    path = home.bundles.root / bad.version / "arrays.npz"
    data = path.read_bytes()
    path.write_bytes(b"damaged")
    edit(home, PROGRAMME.replace("Test shop", "New shop"))
    assert serving(shop) == f"{good.version}+0"
    assert shop.serving.programme.name == "New shop"
    assert shop.faults["InvalidBundle"] >= 1
    path.write_bytes(data)
    assert serving(shop) == f"{bad.version}+0"


def test_a_broken_belief_keeps_the_last_good_one(shop: Shop, home: Home) -> None:
    bundle = support.write_bundle(home.bundles)
    promoted(shop, bundle)
    shop.refresh()
    shop.ledger.record_posterior(PosteriorRecord(bundle.version, 0, NOW, 1, b"no archive"))
    assert serving(shop) == f"{bundle.version}+0"
    believe(shop, bundle, n=2)
    assert serving(shop) == f"{bundle.version}+2"


def test_a_server_starts_on_business_as_usual_when_the_champion_is_broken(shop: Shop, home: Home) -> None:
    bundle = support.write_bundle(home.bundles)
    promoted(shop, bundle)
    (home.bundles.root / bundle.version / "arrays.npz").unlink()
    started = Shop(home)
    assert started.serving.version == "business_as_usual"
    assert started.faults == {"NotFound": 1}


def test_following_happens_in_the_background(shop: Shop) -> None:
    shop.follow()
    bundle = support.write_bundle(shop.home.bundles)
    promoted(shop, bundle)
    deadline = time.monotonic() + 5
    while shop.serving.champion is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert shop.serving.version == f"{bundle.version}+0"


def test_the_champion_of_a_past_decision_is_found_again(shop: Shop, home: Home) -> None:
    a, b = (support.write_bundle(home.bundles, seed=seed) for seed in (1, 2))
    promoted(shop, a)
    promoted(shop, b)
    shop.refresh()
    assert shop.champion_of(f"{b.version}+3") is shop.serving.champion
    found = shop.champion_of(f"{a.version}+3")
    assert found is not None
    assert found.manifest.version == a.version
    for gone in ("business_as_usual", "20200101-gone+1", "trial:mail", "fallback"):
        assert shop.champion_of(gone) is None


def test_a_promoted_policy_that_cannot_be_read_answers_control_until_it_can(home: Home, bundle: Bundle) -> None:
    """A new process has no last good one, and the shop's own rule is what the champion has replaced."""
    home.programme_path.write_text(PROGRAMME + SHARES)
    first = Shop(home)
    bundle = support.write_bundle(home.bundles)
    promoted(first, bundle)
    away = home.root / "away"
    (home.bundles.root / bundle.version).rename(away)
    shop = Shop(home)
    client = support.client_of(shop)
    ask = {
        "trigger": "purchase",
        "order": {"order_id": "o", "total": {"amount": "60.00", "currency": "EUR"}},
        "consent": {"email": True, "sms": True},
    }
    answer = client.post("/v1/decisions", json=ask | {"customer_id": "c-1"}).get_json()
    assert (answer["action"]["action_id"], answer["recorded"]) == ("control", True)
    assert answer["reasons"][0]["code"] == "policy_missing"
    faults = client.get("/readyz").get_json()["faults"]
    assert faults["policy_missing"] == 1
    assert faults["NotFound"] >= 1
    away.rename(home.bundles.root / bundle.version)
    assert serving(shop) == f"{bundle.version}+0"
    answer = client.post("/v1/decisions", json=ask | {"customer_id": "c-2"}).get_json()
    assert answer["reasons"][0]["code"] != "policy_missing"


def test_what_cannot_be_read_of_the_ledger_keeps_no_edit_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LedgerError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(shop.ledger, "promotions", broken)
        edit(shop.home, PROGRAMME.replace('name = "Test shop"', 'name = "Another"'))
        shop.refresh()
        assert shop.serving.programme.name == "Another"
        assert shop.faults["LedgerError"] >= 1
    shop.refresh()
    assert shop.serving.programme.name == "Another"
