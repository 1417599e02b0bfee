"""What is learned from, what is judged, and how the figures come about: by hand."""

import numpy as np
import pytest

from decision.errors import NotEnoughData
from experiments.recommend.evaluate import ANY, ENCORE, GRID, METRICS, NEW, RIVALS, choose, evaluate
from experiments.recommend.metrics import estimates, hits, ndcg, recall
from experiments.recommend.purchases import DAY_US, Purchases, purchases_of
from experiments.recommend.rates import rebuys, return_rates
from experiments.recommend.split import last_baskets, next_baskets, sample
from tests.recommend.tables import Order, flat_shop, lines, shop

FILL: list[Order] = [(f"z{n}", f"z{n}", 0.0, "x y") for n in range(20)]
THREE: list[Order] = [("c1", "o1", 0, "x"), ("c1", "o2", 5, "y x x"), ("c1", "o3", 9, "z"), ("c2", "o4", 7, "x")]


@pytest.fixture(scope="module")
def three() -> Purchases:
    return purchases_of(lines(THREE + FILL))


def held(purchases: Purchases, basket: int) -> list[str]:
    return [purchases.products[p] for p in purchases.product[purchases.basket == basket]]


def test_a_product_counts_once_a_basket_and_baskets_stand_by_customer_and_time(three: Purchases) -> None:
    assert three.products == ("x", "y", "z")
    assert [held(three, b) for b in range(4)] == [["x"], ["x", "y"], ["z"], ["x"]]
    assert [three.customers[c] for c in three.customer[:4]] == ["c1", "c1", "c1", "c2"]


def test_what_never_names_its_product_and_what_was_cancelled_is_left_out() -> None:
    table = lines(THREE + FILL)
    nameless = table.set_column(3, "product", [[None, *table["product"].to_pylist()[1:]]])
    assert held(purchases_of(nameless.cast(table.schema)), 0) == ["x", "y"]


def test_too_little_is_said() -> None:
    with pytest.raises(NotEnoughData, match="found 3 in 4"):
        purchases_of(lines(THREE))


def test_the_last_basket_is_held_out_and_nothing_of_it_is_known(three: Purchases) -> None:
    split = last_baskets(three)
    assert [held(three, b) for b in split.target] == [["z"]]
    assert split.known.tolist() == [True, True, False] + [True] * 21
    assert split.age[:2].tolist() == [1, 0]


def test_settings_are_chosen_where_no_last_basket_is_known(three: Purchases) -> None:
    split = last_baskets(three, back=1)
    assert [held(three, b) for b in split.target] == [["x", "y"]]
    assert split.known[:3].tolist() == [True, False, False]
    assert split.age[0] == 0


def test_as_of_a_day_nothing_later_is_known(three: Purchases) -> None:
    cut = int(three.at[1])
    split = next_baskets(three, cut=cut)
    assert (three.at[split.known] < cut).all()
    assert [held(three, b) for b in split.target] == [["x", "y"]]
    assert split.age[0] == 0
    assert len(next_baskets(three, cut=int(three.at[0]) - 91 * DAY_US).target) == 0


def test_a_sample_has_so_many(three: Purchases) -> None:
    split = last_baskets(purchases_of(lines(shop())))
    assert len(sample(split, 10, seed=1).target) == 10
    assert sample(split, 10, seed=1).target.tolist() == sample(split, 10, seed=1).target.tolist()
    assert sample(split, 1_000, seed=1) is split


def test_recall_and_ndcg_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5, 0.5]] * 2)
    wanted = np.array([[False, True, True, False], [True, False, False, False]])
    found = hits(scores, wanted)
    assert found.tolist() == [[False, True, False, True], [True, False, False, False]]
    assert recall(found, wanted).tolist() == [1.0, 1.0]
    first = (1 / np.log2(3) + 1 / np.log2(5)) / (1 + 1 / np.log2(3))
    assert ndcg(found, wanted) == pytest.approx([first, 1.0])


def test_only_ten_count_and_equal_scores_stand_in_the_order_of_products() -> None:
    wanted = np.zeros((1, 30), dtype=bool)
    wanted[0, [9, 10]] = True
    assert recall(hits(np.zeros((1, 30)), wanted), wanted).tolist() == [0.5]


def test_intervals_of_a_difference_use_pairs() -> None:
    rng = np.random.default_rng(1)
    a = rng.normal(size=400)
    found = estimates({"a": a, "b": a - 0.1, "d": a - (a - 0.1)}, seed=2)
    assert found["d"].low == pytest.approx(0.1)
    assert found["a"].high - found["a"].low == pytest.approx(4 * a.std() / 20, rel=0.1)


def test_durable_is_what_those_who_had_time_to_buy_it_again_did_not() -> None:
    """By hand: 60 buyers bought both on day 0 and have 200 days; half of them bought the bag again."""
    orders: list[Order] = [(f"c{n}", f"o{n}", 0, "bag machine") for n in range(60)]
    orders += [(f"c{n}", f"p{n}", 40, "bag") for n in range(30)]
    orders += [("late", "q", 400, "machine machine")]
    found = rebuys(purchases_of(lines(orders)), prior=20.0)
    overall = 30 / 120
    assert found.days == 180
    assert found.share == pytest.approx([(30 + 20 * overall) / 80, (0 + 20 * overall) / 80])
    assert found.buyers.tolist() == [60, 60]
    assert found.durable(0.1).tolist() == [False, True]


def test_where_nobody_can_tell_nothing_is_durable() -> None:
    found = rebuys(purchases_of(lines(THREE + FILL)), prior=20.0)
    assert not found.durable(0.99).any()


def test_return_rates_are_drawn_to_the_shops_own() -> None:
    orders: list[Order] = [(f"c{n}", f"o{n}", 0, "x y") for n in range(20)]
    back = [(f"c{n}", "x") for n in range(10)] + [("c1", "x"), ("c1", "never"), ("nobody", "x")]
    rates = return_rates(purchases_of(lines(orders, back)), prior=20.0)
    assert rates == pytest.approx([(10 + 20 * 0.25) / 40, (20 * 0.25) / 40])


@pytest.fixture(scope="module")
def judged() -> list:  # type: ignore[type-arg]
    return list(evaluate(purchases_of(lines(shop(120, 5))), seed=1, progress=lambda _, settings: list(settings)[:3]))


def test_tastes_that_are_there_are_found(judged: list) -> None:  # type: ignore[type-arg]
    """Everybody buys `every` each time and one of four pairs of her taste: popularity knows no taste."""
    whole = judged[0]
    assert whole.settings in GRID
    # In five orders of four pairs nothing is new to her: no table is made up.
    (any_product,) = whole.tables
    assert any_product.question == ANY
    assert any_product.customers == 120
    assert any_product.ahead["popularity", "recall@10"].low > 0
    assert any_product.values[ENCORE, "recall@10"].value > 0.9
    assert set(any_product.values) == {
        (name, metric) for name in (*RIVALS, "own products again, then popularity", ENCORE) for metric in METRICS
    }


def test_too_few_customers_to_judge_are_said() -> None:
    with pytest.raises(NotEnoughData, match="Expected 30 customers"):
        list(evaluate(purchases_of(lines(shop(20))), seed=1, progress=lambda _, settings: settings))


def test_a_shop_without_structure_gets_best_sellers_and_is_not_clearly_worse_than_any_rule() -> None:
    """Nearness found in pure chance would lose to them by .03 to .06, with intervals below 0."""
    judged = list(evaluate(purchases_of(lines(flat_shop(350, seed=4))), seed=1, progress=lambda _, settings: settings))
    assert [one.settings.simple for one in judged] == [True, True]
    for one in judged:
        assert {table.question for table in one.tables} == {ANY, NEW}
        assert all(lead.high >= 0 for table in one.tables for lead in table.ahead.values())


def test_structure_that_is_there_beats_best_sellers() -> None:
    """The fourth order holds the one pair of her taste that she has not bought yet."""
    purchases = purchases_of(lines(shop(120, 4)))
    assert not choose(purchases, last_baskets(purchases), seed=1, progress=lambda _, settings: settings).simple
