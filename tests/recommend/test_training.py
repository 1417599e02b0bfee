"""What is trained is what was measured, and the stage that serves it gives the same products."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from decision.bundle.neighbours import Neighbours, NeighbourStore
from decision.errors import NotEnoughData
from decision.records import IntArray
from decision.stages.baskets import History
from decision.stages.recommendations import HeldBack, Purpose, Wish, recommend
from experiments.recommend.catalogue import Facts, read_catalogue
from experiments.recommend.evaluate import ANY, ENCORE, NEW, RIVALS, _fitted, measure
from experiments.recommend.model import Settings, arrays_of, model, nearness, of_lists
from experiments.recommend.purchases import Purchases, purchases_of
from experiments.recommend.rankings import asked, simple_rules
from experiments.recommend.split import Split, last_baskets, sample
from experiments.recommend.train import Choice, chosen, kinds, train
from experiments.recommend.win_back import silent
from tests.recommend.tables import lines, shop
from tests.support import NOW

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "online_retail" / "online_retail.parquet"
USUAL = Settings()


@pytest.fixture(scope="module")
def purchases() -> Purchases:
    return purchases_of(lines(shop()))


def served(purchases: Purchases, root: Path, catalogue: dict[str, Facts] | None = None) -> Neighbours:
    store = NeighbourStore(root)
    found = train(purchases, catalogue or {}, Choice(USUAL, ""), store, run_id="r", now=NOW)
    assert store.current == found.manifest.version
    return found


def test_pairs_that_are_bought_together_are_each_others_nearest(purchases: Purchases, tmp_path: Path) -> None:
    found = served(purchases, tmp_path)
    place = found.place["a1"]
    nearest = [found.products[p] for p in found.together[place]]
    assert next(product for product in nearest if product != "every") == "a1-with"
    assert place not in found.together[place]
    assert found.manifest.origin.baskets == 240


def test_neighbour_lists_hold_what_was_fitted(purchases: Purchases) -> None:
    fitted = model(nearness(purchases), np.zeros(len(purchases.products), dtype=bool), USUAL)
    found = arrays_of(fitted)
    whole = of_lists(found["together"], found["together_weight"])
    assert whole.toarray() == pytest.approx(fitted.together.toarray(), rel=1e-6)


def test_the_server_recommends_what_was_measured(purchases: Purchases, tmp_path: Path) -> None:
    """For everybody: the products of a win-back, in order, are those of the highest scores."""
    shelf = served(purchases, tmp_path)
    everything = Split(np.ones(len(purchases.customer), dtype=bool), np.zeros(0, dtype=np.int64), _age(purchases))
    users = np.arange(len(purchases.customers))
    scores = _fitted(purchases, USUAL)(asked(purchases, everything, users))
    for user in users:
        baskets = [
            tuple(purchases.products[p] for p in purchases.product[purchases.basket == b])
            for b in np.flatnonzero(purchases.customer == user)[::-1]
        ]
        found = recommend(Wish(Purpose.WIN_BACK, 5), History(tuple(baskets)), shelf, HeldBack())
        best = np.argsort(-scores[user].round(6), kind="stable")[:5]
        assert [one.product for one in found.products] == [purchases.products[p] for p in best]


@pytest.mark.parametrize("trend", [0.0, 1.0])
def test_best_sellers_are_served_as_such_where_nearness_was_left_out(trend: float, tmp_path: Path) -> None:
    """`old` sold most ever, `late` in the last weeks; nothing claims to go with what she bought."""
    orders = [(f"c{n}", f"o{n}", 0.0, "old tea") for n in range(40)] + [
        (f"d{n}", f"p{n}", 200.0, "late") for n in range(30)
    ]
    rule = Choice(Settings(trend=trend, again=0.0, near=0.0), "")
    shelf = train(purchases_of(lines(orders)), {}, rule, NeighbourStore(tmp_path), run_id="r", now=NOW)
    found = recommend(Wish(Purpose.WIN_BACK, 2), History((("tea",),)), shelf, HeldBack())
    first = "late" if trend else "old"
    assert found.products[0].product == first
    assert {one.code for one in found.products} == {"popular"}


def _age(purchases: Purchases) -> IntArray:
    ends = np.cumsum(np.bincount(purchases.customer))
    return np.asarray(ends[purchases.customer] - 1 - np.arange(len(purchases.customer)))


def test_the_catalogue_comes_before_what_orders_show(purchases: Purchases, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.csv"
    path.write_text("product,category,family,durable,price\na1,tools,saw,yes,1\na2,tools,saw,true,2\nb1,,,no,3\n")
    found = kinds(purchases, read_catalogue(path))
    place = {product: i for i, product in enumerate(purchases.products)}
    assert found.durable[[place["a1"], place["a2"], place["b1"]]].tolist() == [True, True, False]
    assert found.category[place["a1"]] == found.category[place["a2"]] == 0
    assert found.family[place["a1"]] == found.family[place["a2"]] != found.family[place["b1"]] == -1
    assert found.durable_category.tolist() == [True]


def test_names_help_to_find_what_stands_in(purchases: Purchases, tmp_path: Path) -> None:
    catalogue = {"a1": Facts(name="Red lunch bag"), "b3": Facts(name="Blue lunch bag"), "a2": Facts(name="Candle")}
    found = served(purchases, tmp_path, catalogue)
    assert found.products[found.instead[found.place["a1"], 0]] == "b3"


def test_few_customers_get_the_usual_settings_and_a_reason() -> None:
    choice = chosen(purchases_of(lines(shop(20))), seed=1, progress=lambda _, settings: settings)
    assert choice.settings == USUAL
    assert "Expected 30 customers" in choice.because


def test_who_stays_away_is_known_with_what_she_kept() -> None:
    table = lines([("c1", "o1", 0, "x"), ("c1", "o2", 5, "y z"), ("c2", "o3", 100, "x")], [("c1", "z")])
    (found,) = silent(table, days=90)
    assert (found.customer_id, found.days) == ("c1", 95)
    assert found.history == History((("y", "z"), ("x",)), frozenset({"z"}))


@pytest.mark.skipif(not DATA.exists(), reason="needs the Online Retail data")
def test_online_retail_beats_popularity_and_co_occurrence() -> None:
    """A quarter of the customers, with the usual settings; `encore recommend evaluate` shows all with intervals."""
    raw = pq.read_table(DATA, columns=["CustomerID", "InvoiceNo", "InvoiceDate", "StockCode", "Quantity", "UnitPrice"])
    raw = raw.filter(pc.and_(pc.is_valid(raw["CustomerID"]), pc.greater(raw["UnitPrice"], 0.0)))
    raw = raw.filter(pc.match_substring_regex(raw["StockCode"], r"^\d{5}"))
    raw = raw.rename_columns({"CustomerID": "customer_id", "InvoiceNo": "order_id", "InvoiceDate": "at"})
    table = raw.rename_columns({"StockCode": "product"}).append_column("is_return", pc.less(raw["Quantity"], 0))
    kinds = {name: pa.string() for name in ("customer_id", "order_id", "product")} | {"at": pa.timestamp("us", "UTC")}
    for name, kind in kinds.items():
        table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    purchases = purchases_of(table)
    split = sample(last_baskets(purchases), 700, seed=1)
    known = purchases.only(split.known)
    figures = measure(purchases, split, {**simple_rules(known), ENCORE: _fitted(known, USUAL)})
    for question in (ANY, NEW):
        for rival in RIVALS:
            lead = figures[ENCORE, "NDCG@10", question] - figures[rival, "NDCG@10", question]
            lead = lead[~np.isnan(lead)]
            assert lead.mean() > 3 * lead.std() / np.sqrt(len(lead))


def test_without_a_line_there_is_not_enough_data() -> None:
    with pytest.raises(NotEnoughData, match="found 0 in 0"):
        purchases_of(lines([]))
