"""A champion is changed in one step and back in one step."""

import shutil

import pytest

from decision.bundle.store import BundleStore
from decision.errors import InvalidBundle, NotFound
from decision.flow.promotion import champion_version, promote, rollback
from decision.ledger.sqlite import SqliteLedger
from decision.programme.model import Programme
from tests import support
from tests.support import DAY, NOW


@pytest.fixture
def versions(bundles: BundleStore) -> list[str]:
    return [support.write_bundle(bundles, seed=seed).version for seed in range(3)]


@pytest.fixture
def change(bundles: BundleStore, ledger: SqliteLedger, programme: Programme):  # type: ignore[no-untyped-def]
    """Promote a version, or roll back where none is given; return what serves then."""

    def to(version: str | None = None) -> str | None:
        if version is None:
            back = rollback(bundles=bundles, ledger=ledger, reason="worse", now=NOW)
            assert champion_version(ledger) == back
            return back
        promote(version, programme=programme, bundles=bundles, ledger=ledger, reason="better", verdict=("ok",), now=NOW)
        return champion_version(ledger)

    return to


def test_before_the_first_promotion_nothing_serves(ledger: SqliteLedger, change) -> None:  # type: ignore[no-untyped-def]
    assert champion_version(ledger) is None
    with pytest.raises(NotFound, match="found business as usual"):
        change()


def test_promote_and_roll_back(versions: list[str], ledger: SqliteLedger, change) -> None:  # type: ignore[no-untyped-def]
    a, b, c = versions
    assert [change(a), change(b), change(), change(c), change()] == [a, b, a, c, a]
    assert [p.kind for p in ledger.promotions()] == ["promote", "promote", "rollback", "promote", "rollback"]
    assert ledger.promotions()[0].verdict == ("ok",)


def test_the_first_promotion_is_rolled_back_to_business_as_usual(  # type: ignore[no-untyped-def]
    versions: list[str], ledger: SqliteLedger, change
) -> None:
    a, b, _ = versions
    assert [change(a), change()] == [a, None]
    with pytest.raises(NotFound, match="found business as usual"):
        change()
    assert [(p.kind, p.bundle_version) for p in ledger.promotions()] == [
        ("promote", a),
        ("rollback", "business_as_usual"),
    ]
    assert [change(a), change(b), change(), change()] == [a, b, a, None]


def test_what_serves_already_is_not_recorded_again(versions: list[str], ledger: SqliteLedger, change) -> None:  # type: ignore[no-untyped-def]
    assert [change(versions[0]), change(versions[0])] == [versions[0]] * 2
    assert len(ledger.promotions()) == 1


def test_rolling_back_twice_goes_two_steps_back(versions: list[str], change) -> None:  # type: ignore[no-untyped-def]
    a, b, c = versions
    assert [change(a), change(b), change(c), change(), change()] == [a, b, c, b, a]


def test_rolling_back_passes_over_a_version_that_was_promoted_twice(  # type: ignore[no-untyped-def]
    versions: list[str], change
) -> None:
    a, b, _ = versions
    assert [change(a), change(b), change(b), change()] == [a, b, b, a]
    assert [change(b), change(), change(b), change(b), change()] == [b, a, b, b, a]


def test_a_version_may_come_back(versions: list[str], change) -> None:  # type: ignore[no-untyped-def]
    a, b, _ = versions
    assert [change(a), change(b), change(a), change(), change()] == [a, b, a, b, a]


def test_an_unknown_version_is_not_promoted(ledger: SqliteLedger, change) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(NotFound, match="Expected a policy bundle 'v9'"):
        change("v9")
    assert ledger.promotions() == []


def test_a_bundle_of_another_programme_is_not_promoted(  # type: ignore[no-untyped-def]
    bundles: BundleStore, ledger: SqliteLedger, change
) -> None:
    other = support.write_bundle(bundles, support.manifest(actions=("control", "bogo@email")))
    with pytest.raises(InvalidBundle, match="an action of the programme"):
        change(other.version)
    assert ledger.promotions() == []


def test_a_damaged_bundle_is_neither_promoted_nor_rolled_back_to(  # type: ignore[no-untyped-def]
    versions: list[str], bundles: BundleStore, ledger: SqliteLedger, change
) -> None:
    a, b, c = versions
    change(a)
    change(b)
    for version in (a, c):
        (bundles.root / version / "arrays.npz").write_bytes(b"damaged")
    with pytest.raises(InvalidBundle, match="altered"):
        change(c)
    with pytest.raises(InvalidBundle, match="altered"):
        change()
    shutil.rmtree(bundles.root / a)
    with pytest.raises(NotFound):
        change()
    assert champion_version(ledger) == b


def test_the_time_and_reason_are_on_record(versions: list[str], ledger: SqliteLedger, change) -> None:  # type: ignore[no-untyped-def]
    change(versions[0])
    (promotion,) = ledger.promotions()
    assert (promotion.reason, promotion.at) == ("better", NOW)
    assert promotion.at < NOW + DAY
