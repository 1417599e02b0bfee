"""What is served is checked by hash and shape, and followed while the server runs."""

from pathlib import Path

import numpy as np
import pytest

from decision.bundle.neighbours import NeighbourStore
from decision.bundle.shelf import FOLDER, OUT_OF_STOCK, PROBLEMS, Shelf, fresh_shelf
from decision.errors import InvalidBundle, InvalidInput, NotFound
from tests.recommend.shelves import PRODUCTS, arrays, manifest, written


@pytest.fixture
def store(tmp_path: Path) -> NeighbourStore:
    return NeighbourStore(tmp_path / FOLDER)


def test_what_was_written_is_read(store: NeighbourStore) -> None:
    found = written(store)
    assert found.products == PRODUCTS
    assert store.read(found.manifest.version).together.tolist() == arrays()["together"].tolist()
    assert written(store).manifest == found.manifest
    assert store.versions() == [found.manifest.version]


def test_an_altered_file_is_refused(store: NeighbourStore) -> None:
    version = written(store).manifest.version
    path = store.root / version / "manifest.json"
    path.write_text(path.read_text().replace('"decay": 0.5', '"decay": 0.6'))
    with pytest.raises(InvalidBundle, match="altered"):
        store.read(version)
    with pytest.raises(NotFound, match="found none"):
        store.read("20200101-none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"together": np.full((10, 3), 10, np.int32)},
        {"again": np.zeros(3)},
        {"category": np.full(10, 5)},
        {"instead_weight": np.full((10, 3), np.nan, np.float32)},
        {"popular": np.array([-1])},
    ],
)
def test_arrays_that_do_not_fit_are_refused_before_they_serve(
    store: NeighbourStore, wrong: dict[str, np.ndarray]
) -> None:
    with pytest.raises(InvalidBundle, match="over 10 products"):
        store.write(manifest(), arrays(**wrong))


def test_a_missing_array_is_named(store: NeighbourStore) -> None:
    found = arrays()
    del found["again"]
    with pytest.raises(InvalidBundle, match="again"):
        store.write(manifest(), found)


def test_the_shelf_follows_its_files(tmp_path: Path, store: NeighbourStore) -> None:
    empty, wrong = fresh_shelf(tmp_path, Shelf())
    assert (empty, wrong) == (Shelf(), None)
    found = written(store)
    assert fresh_shelf(tmp_path, empty)[0].neighbours is None
    store.use(found.manifest.version)
    (tmp_path / FOLDER / OUT_OF_STOCK).write_text("product,since\nMUG,today\n")
    shelf, _ = fresh_shelf(tmp_path, empty)
    assert shelf.neighbours is not None
    assert shelf.out_of_stock == {"MUG"}
    assert fresh_shelf(tmp_path, shelf)[0] is shelf
    (tmp_path / FOLDER / OUT_OF_STOCK).unlink()
    assert fresh_shelf(tmp_path, shelf)[0].out_of_stock == frozenset()


def test_what_can_not_be_read_leaves_the_last_good(tmp_path: Path, store: NeighbourStore) -> None:
    store.use(written(store).manifest.version)
    (store.root / PROBLEMS).write_text("product\nMUG\n")
    good, _ = fresh_shelf(tmp_path, Shelf())
    (store.root / PROBLEMS).write_text("article\nMUG,SHOES\n")
    (store.root / "current").write_text("20200101-none\n\n")
    after, wrong = fresh_shelf(tmp_path, good)
    assert isinstance(wrong, InvalidInput | NotFound)
    assert (after.neighbours, after.problems) == (good.neighbours, good.problems)
    assert fresh_shelf(tmp_path, after)[1] is None
