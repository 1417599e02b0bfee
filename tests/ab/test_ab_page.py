"""The case of docs/ab.md is one, and its Python runs."""

import re
import tomllib
from pathlib import Path

import numpy as np

from experiments.ab.case import MetricKind
from experiments.ab.case_file import read_case
from experiments.ab.plans import PlanKind

PAGE = (Path(__file__).parents[2] / "docs" / "ab.md").read_text()
COLUMNS = "arm customer_id day region spend spend_before returned orders margin cost".split()


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_case_file_of_the_page_is_read(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text(block("toml"))
    case = read_case(tmp_path / "case.toml", tuple(COLUMNS), None)
    assert case.plan.kind is PlanKind.GROUP_SEQUENTIAL
    assert [metric.kind for metric in case.metrics] == [MetricKind.MEAN, MetricKind.RATIO]
    assert tomllib.loads(block("toml"))["money"]["currency"] == case.money.currency


def test_the_python_of_the_page_runs(capsys) -> None:
    rng = np.random.default_rng(1)
    names = {"spend": rng.normal(size=100), "spend_before": rng.normal(size=100), "arm": rng.integers(2, size=100)}
    exec(block("python"), names)
    assert capsys.readouterr().out.startswith("Effect(estimate=")
