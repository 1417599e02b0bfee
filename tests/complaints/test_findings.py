"""From reviews to problem products: what is read, what counts as which complaint, and how it is measured."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from decision.bundle.shelf import PROBLEMS, products_in
from decision.errors import InvalidInput, NotEnoughData
from experiments.complaints.commands import report, write
from experiments.complaints.findings import ANY, Findings, find
from experiments.complaints.kinds import mentions, read_kinds
from experiments.complaints.model import out_of_fold, skill
from experiments.complaints.plots import by_department, worst_products
from experiments.complaints.rates import Verdict
from experiments.complaints.reviews import Reviews, read_reviews

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data" / "womens_clothing_reviews" / "womens_clothing_reviews.parquet"
GOOD = ("lovely colour and so soft", "fits perfectly, love it", "not too small at all, great", "wonderful gift")
BAD = {
    "fit": "it runs small and looks awful",
    "quality": "the zip broke, poor quality",
    "late": "bad: never arrived in time",
}


def reviews(n: int = 1_200, *, seed: int = 1, unrated: float = 0.0) -> Reviews:
    """Return reviews of 40 products in two departments; a tenth complain, half of those of product p0, about fit."""
    rng = np.random.default_rng(seed)
    product = rng.integers(40, size=n)
    bad = rng.random(n) < np.where(product == 0, 0.6, 0.1)
    kind = np.where(product == 0, "fit", rng.choice(list(BAD), size=n))
    texts = [BAD[str(k)] if b else GOOD[i % 4] for i, (b, k) in enumerate(zip(bad, kind, strict=True))]
    rating = np.where(bad, rng.integers(1, 4, size=n), rng.integers(4, 6, size=n)).astype(float)
    rating[rng.random(n) < unrated] = np.nan
    return Reviews(tuple(texts), rating, tuple(f"p{p}" for p in product), tuple("ab"[p % 2] for p in product), {})


@pytest.fixture(scope="module", autouse=True)
def _few_resamples() -> Iterator[None]:
    """Intervals are none of these tests' concern."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.complaints.model.RESAMPLES", 40)
        patch.setattr("experiments.complaints.findings.RESAMPLES", 40)
        yield


@pytest.fixture(scope="module")
def found() -> Findings:
    return find(reviews(), read_kinds(), low=3.0, worse=1.5, seed=1)


def test_terms_tell_kinds_and_what_is_denied_does_not_count() -> None:
    kinds = read_kinds()
    said = {
        "It runs small and is see-through": {"fit", "quality"},
        "Not too small, and it didn't shrink": set(),
        "The box was badly damaged, and it arrived very late": {"packaging", "late"},
        "They sent me the wrong colour; nothing like the picture": {"wrong_item"},
        "It never arrived": {"late"},
        "Fits beautifully": set(),
    }
    names = list(kinds)
    for text, row in zip(said, mentions(list(said), kinds), strict=True):
        assert {names[k] for k in np.flatnonzero(row)} == said[text], text


def test_a_shop_may_bring_its_own_terms(tmp_path: Path) -> None:
    path = tmp_path / "kinds.toml"
    path.write_text('zu_klein = ["zu (?:klein|eng)"]\n')
    assert mentions(["Leider zu eng", "prima"], read_kinds(path)).tolist() == [[True], [False]]
    for wrong, message in (
        ("x = 1", "list of terms"),
        ('x = ["("]', "regular expressions"),
        ("", "at least one"),
        ("=", "TOML"),
    ):
        path.write_text(wrong)
        with pytest.raises(InvalidInput, match=message):
            read_kinds(path)


def test_columns_are_recognised_or_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("Product ID,Stars,Review Text,Title,extra\nA,5,good,nice,1\nB,,meh,,2\n,1,x,,3\nC,2,,,4\n")
    read = read_reviews(path, {})
    assert read.text == ("nice. good", "meh")
    assert read.product == ("A", "B")
    assert read.rating.tolist()[0] == 5.0
    assert np.isnan(read.rating[1])
    assert read.department == ("(none)", "(none)")
    assert read.left_out == {"reviews without text": 1, "reviews without a product": 1}
    path.write_text("wares,Stars,Text\nA,5,good\n")
    with pytest.raises(InvalidInput, match="column for the product"):
        read_reviews(path, {})
    assert read_reviews(path, {"product": "wares"}).product == ("A",)
    path.write_text("product,Stars,Text\nA,five,good\n")
    with pytest.raises(InvalidInput, match="rating such as 4 in row 1"):
        read_reviews(path, {})


def test_the_bad_product_is_found_with_its_kind_and_no_other(found: Findings) -> None:
    assert {product for product, _ in found.problems()} == {"p0"}
    assert ("p0", "fit") in found.problems()
    place = found.coded.products.index("p0")
    assert found.products[ANY].verdict(place) is Verdict.PROBLEM
    assert found.skills["rating of at most 3"].auc[0] > 0.95
    assert found.uncovered == 0.0
    assert found.trust["fit"].complaints_if_mentioned[0] == 1.0


def test_problem_products_are_a_file_that_servers_read(found: Findings, tmp_path: Path) -> None:
    assert write(found, tmp_path) == 1
    assert products_in(tmp_path / PROBLEMS) == {"p0"}
    with (tmp_path / "complaints.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40 * 6
    assert sum(int(row["reviews"]) for row in rows if row["kind"] == ANY) == 1_200
    lines = list(report(found))
    assert any(line.startswith("p0") and "fit" in line for line in lines)
    assert by_department(found).axes
    assert worst_products(found).axes


def test_where_nobody_rated_the_text_speaks() -> None:
    half = find(reviews(unrated=0.5), read_kinds(), low=3.0, worse=1.5, seed=1)
    assert "p0" in {product for product, _ in half.problems()}
    whole = find(reviews(), read_kinds(), low=3.0, worse=1.5, seed=1)
    assert half.shop[ANY] == pytest.approx(whole.shop[ANY], abs=0.02)


def test_too_few_complaints_to_learn_from_are_said() -> None:
    with pytest.raises(NotEnoughData, match="50 complaints"):
        find(reviews(200), read_kinds(), low=3.0, worse=1.5, seed=1)


def test_no_product_is_judged_by_a_model_that_saw_it() -> None:
    """A word that only marks the product tells nothing of other products: out of sample it is worth nothing."""
    rng = np.random.default_rng(1)
    product = np.arange(600) % 20
    bad = product < 10
    texts = [f"word{p} and {rng.integers(9)} things" for p in product]
    found = skill(bad, out_of_fold(texts, bad, product), product, seed=1)
    assert found.auc[0] < 0.65


@pytest.mark.skipif(not DATA.exists(), reason="needs the Women's E-Commerce Clothing Reviews")
def test_real_reviews_tell_real_ratings() -> None:
    """On 5,000 of 22,642; `encore complaints` shows .95 [.95, .96] on all of them."""
    table = pq.read_table(DATA).slice(0, 5_200)
    texts = [text or "" for text in table["Review Text"].to_pylist()]
    bad = np.array(table["Rating"].to_pylist()) <= 3
    product = np.array(table["Clothing ID"].to_pylist())
    found = skill(bad, out_of_fold(texts, bad, product), product, seed=1)
    assert found.auc[1] > 0.88
    assert found.average_precision[1] > 0.65
