"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from experiments.whole_file import whole_file


def test_a_file_is_there_once_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with whole_file(path) as unfinished:
        unfinished.write_text("all")
        assert not path.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]
    assert path.read_text() == "all"


def test_where_writing_fails_the_file_stays_as_it_was_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("before")
    with pytest.raises(OSError, match="full"):
        half_written(path)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("out.csv", "before")]


def half_written(path: Path) -> None:
    with whole_file(path) as unfinished:
        unfinished.write_text("half")
        raise OSError("disk full")


def test_files_that_differ_by_their_ending_are_written_beside_one_another(tmp_path: Path) -> None:
    with whole_file(tmp_path / "out.csv") as one, whole_file(tmp_path / "out.parquet") as other:
        one.write_text("csv")
        other.write_text("parquet")
    assert (tmp_path / "out.csv").read_text() == "csv"
