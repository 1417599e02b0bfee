"""`[metrics.NAME]` of a programme: what is declared, and where a mistake is."""

import pytest

from decision.errors import InvalidProgramme
from decision.programme import metrics
from decision.programme.read import parse_programme
from experiments.ab.case import MetricKind, Role
from experiments.ab.case_file import PROGRAMME_CASE, read_tables
from experiments.ab.case_metrics import metric_as_declared
from experiments.ab.effect import RelativeMethod
from experiments.ab.noninferiority import Better
from experiments.live.comparisons import programme_metrics
from tests.support import PROGRAMME

PRIMARY = '[metrics.net]\nkind = "mean"\nrole = "primary"\ncolumn = "net"\n'


def test_metrics_are_declared_as_in_a_case() -> None:
    text = PRIMARY + (
        '[metrics.returns]\nkind = "ratio"\nrole = "guardrail"\nnumerator = "returned"\ndenominator = "orders"\n'
        'better = "lower"\nmargin_percent = 5\nwindow_days = 60\n'
    )
    net, returns = parse_programme(PROGRAMME + text).metrics
    assert (net.columns, net.role, net.window_days) == (("net",), "primary", 0)
    assert (returns.columns, returns.margin, returns.relative_margin) == (("returned", "orders"), 0.05, True)
    assert metric_as_declared(returns).kind is MetricKind.RATIO
    assert [one.name for one in programme_metrics(parse_programme(PROGRAMME + text))] == ["net", "returns"]


def test_without_any_the_usual_ones_are_measured() -> None:
    programme = parse_programme(PROGRAMME)
    assert programme.metrics == ()
    named = tuple(metric.name for metric in programme_metrics(programme))
    assert named == tuple(read_tables(PROGRAMME_CASE)[1]["metrics"])  # type: ignore[arg-type]


def test_what_can_be_declared_is_what_analyses_know() -> None:
    for declared, known in (
        (metrics.KINDS, MetricKind),
        (metrics.ROLES, Role),
        (metrics.BETTER, Better),
        (metrics.RELATIVE, RelativeMethod),
    ):
        assert set(declared) == {one.value for one in known}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PRIMARY.replace('"net"\n', '"nett"\n', 1), "metrics.net.column: unknown column 'nett'; did you mean 'net'?"),
        (PRIMARY.replace("mean", "median"), "metrics.net.kind: expected one of mean, proportion, ratio, quantile"),
        (PRIMARY.replace("mean", "proportion"), "metrics.net.column: expected one of visited, repurchased"),
        (PRIMARY.replace("primary", "guardrail"), "metrics.net.margin: a guardrail metric needs how much worse"),
        (PRIMARY.replace("primary", "secondary"), 'metrics: expected a metric with role = "primary", found none'),
        (PRIMARY + "window_days = -1\n", "metrics.net.window_days: expected a number from 0 to 3650, found -1"),
        (PRIMARY + "windows = 3\n", "metrics.net.windows: unknown key 'windows'"),
        (PRIMARY + "window_days = 90\n[retention]\nevents_days = 60\n", "expected at least 105 days, found 60"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(InvalidProgramme) as caught:
        parse_programme(PROGRAMME + text)
    (problem,) = caught.value.problems
    assert said in problem
    assert problem.startswith("line ")
