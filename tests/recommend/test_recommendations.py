"""Which products come out, in which order, for which reason; what is held back, and counted."""

import numpy as np
import pytest

from decision.bundle.neighbours import Neighbours, NeighbourStore
from decision.records import Recommended
from decision.stages.baskets import History
from decision.stages.recommendations import HeldBack, Purpose, Wish, recommend
from tests.recommend.shelves import PLACE, arrays, manifest, written

BOUGHT = Wish(Purpose.PURCHASE, 3, ("COFFEE",))
NOBODY, NOTHING = History(), HeldBack()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Neighbours:
    return written(NeighbourStore(tmp_path_factory.mktemp("shelf")))


def names(found: Recommended) -> list[str]:
    return [one.product for one in found.products]


def test_what_goes_with_a_purchase_comes_by_weight_and_says_why(shelf: Neighbours) -> None:
    found = recommend(BOUGHT, NOBODY, shelf, NOTHING)
    assert names(found) == ["GRINDER", "FILTER", "MUG"]
    assert [(one.code, one.because) for one in found.products] == [("bought_together", "COFFEE")] * 3
    assert found.products[0].score == pytest.approx(0.5)
    assert (found.code, found.version) == ("ok", shelf.manifest.version)


def test_earlier_baskets_weigh_by_their_age(shelf: Neighbours) -> None:
    """By hand: COFFEE now; MUG one basket ago (0.5), again 0.5 x 0.25; MACHINE two ago (0.25)."""
    found = recommend(Wish(Purpose.PURCHASE, 9, ("SHOES",)), History((("MUG",), ("MACHINE",))), shelf, NOTHING)
    scores = {one.product: (one.score, one.code) for one in found.products}
    assert scores["COFFEE"] == (pytest.approx(0.5 * 0.7 + 0.25 * 0.4), "bought_together")
    assert scores["MUG"] == (pytest.approx(0.5 * 0.25), "bought_again")


def test_a_durable_good_that_she_owns_and_its_like_are_held_back(shelf: Neighbours) -> None:
    for products, history in ((("MACHINE",), NOBODY), (("SHOES",), History((("MACHINE",),)))):
        found = recommend(Wish(Purpose.PURCHASE, 5, products), history, shelf, NOTHING)
        assert not {"MACHINE", "MACHINE-2"} & set(names(found))
        assert found.withheld["durable"] == 1


def test_who_sent_the_machine_back_may_be_offered_another(shelf: Neighbours) -> None:
    history = History((("MACHINE",),))
    weights = arrays()["instead"].copy(), arrays()["instead_weight"].copy()
    weights[0][PLACE["MACHINE"], 0], weights[1][PLACE["MACHINE"], 0] = PLACE["MACHINE-2"], 1.0
    other = written_with(instead=weights[0], instead_weight=weights[1], at=shelf)
    found = recommend(Wish(Purpose.RETURN, 1, ("MACHINE",), "quality"), history, other, NOTHING)
    assert names(found) == ["MACHINE-2"]


def written_with(*, at: Neighbours, **changes: np.ndarray) -> Neighbours:
    from decision.bundle.neighbours import _neighbours

    return _neighbours(at.manifest, arrays(**changes))


@pytest.mark.parametrize(
    ("held_back", "reason"),
    [
        (HeldBack(out_of_stock=frozenset({"GRINDER"})), "out_of_stock"),
        (HeldBack(problems=frozenset({"GRINDER"})), "complaint_problem"),
        (HeldBack(excluded=frozenset({"GRINDER"})), "excluded_product"),
    ],
)
def test_what_nobody_is_offered_is_counted(shelf: Neighbours, held_back: HeldBack, reason: str) -> None:
    found = recommend(BOUGHT, NOBODY, shelf, held_back)
    assert "GRINDER" not in names(found)
    assert found.withheld == {reason: 1}


def test_what_she_sent_back_once_is_not_offered_again(shelf: Neighbours) -> None:
    found = recommend(BOUGHT, History((), frozenset({"FILTER"})), shelf, NOTHING)
    assert "FILTER" not in names(found)
    assert found.withheld == {"returned": 1}


def test_best_sellers_fill_up_and_a_short_list_says_so(shelf: Neighbours) -> None:
    found = recommend(Wish(Purpose.PURCHASE, 20, ("SHIRT-X",)), NOBODY, shelf, NOTHING)
    assert [(one.product, one.code) for one in found.products] == [(p, "popular") for p in ("MUG", "FILTER", "SHOES")]
    assert found.code == "fewer_than_asked"


def test_another_size_comes_first_when_the_size_was_wrong(shelf: Neighbours) -> None:
    found = recommend(Wish(Purpose.RETURN, 2, ("SHIRT-M",), "size"), NOBODY, shelf, NOTHING)
    assert [(one.product, one.code, one.because) for one in found.products] == [
        ("SHIRT-L", "other_size", "SHIRT-M"),
        ("SHIRT-X", "instead_of", "SHIRT-M"),
    ]


def test_the_article_itself_comes_back_in_another_size_where_sizes_share_an_id(shelf: Neighbours) -> None:
    found = recommend(Wish(Purpose.RETURN, 1, ("SHOES",), "size"), NOBODY, shelf, NOTHING)
    assert [(one.product, one.code) for one in found.products] == [("SHOES", "other_size")]
    assert "SHOES" not in names(recommend(Wish(Purpose.RETURN, 3, ("SHOES",), "other"), NOBODY, shelf, NOTHING))


def test_bad_quality_rules_out_the_whole_family(shelf: Neighbours) -> None:
    found = recommend(Wish(Purpose.RETURN, 1, ("SHIRT-M",), "quality"), NOBODY, shelf, NOTHING)
    assert names(found) == ["SHIRT-X"]
    assert found.withheld == {"returned": 1}


def test_what_comes_back_often_loses_against_what_is_kept(shelf: Neighbours) -> None:
    rate = np.zeros(len(PLACE))
    rate[PLACE["SHIRT-X"]] = 0.5
    other = written_with(return_rate=rate, at=shelf)
    wish = Wish(Purpose.RETURN, 2, ("SHIRT-M",), "wrong_item")
    assert names(recommend(wish, NOBODY, other, NOTHING))[0] == "SHIRT-X"
    family = written_with(return_rate=rate, family=np.full(len(PLACE), -1), at=shelf)
    assert names(recommend(Wish(Purpose.RETURN, 2, ("SHIRT-M",), "size"), NOBODY, family, NOTHING))[0] == "SHIRT-L"


def test_a_win_back_speaks_of_what_she_used_up_and_what_goes_with_it(shelf: Neighbours) -> None:
    """By hand: COFFEE again 0.25 (newest basket); with it GRINDER 0.5, FILTER 0.3, MUG 0.2."""
    found = recommend(Wish(Purpose.WIN_BACK, 4), History((("COFFEE",),)), shelf, NOTHING)
    assert names(found) == ["GRINDER", "FILTER", "COFFEE", "MUG"]
    assert found.products[2].code == "bought_again"


def test_products_that_nobody_has_heard_of_do_no_harm(shelf: Neighbours) -> None:
    wish = Wish(Purpose.PURCHASE, 2, ("?", "COFFEE"))
    assert names(recommend(wish, History((("!",),), frozenset({"§"})), shelf, NOTHING)) == ["GRINDER", "FILTER"]
    assert recommend(Wish(Purpose.PURCHASE, 0, ("COFFEE",)), NOBODY, shelf, NOTHING).products == ()
    assert manifest().version == ""
