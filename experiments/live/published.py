"""The programme's analyses where the service reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from decision.results import PROGRAMME, AnalysisHead, Results
from experiments.ab.published import head_of, whole
from experiments.live.comparisons import plan_of_programme
from experiments.live.findings import Compared, Findings
from experiments.live.headline import headline_of, usual_line

USUAL = f"{PROGRAMME}-against-business-as-usual"


def head_of_programme(found: Findings) -> AnalysisHead:
    """Return what the list says of the comparison with the holdout."""
    return _whole(found, found.holdout, PROGRAMME, headline_of(found))[0]


def head_of_usual(found: Findings) -> AnalysisHead | None:
    """Return the same of the comparison with business as usual, where the programme has such a group."""
    if found.usual is None and not found.no_usual:
        return None
    return _whole(found, found.usual, USUAL, usual_line(found))[0]


def publish(found: Findings, results: Results) -> list[str]:
    """Write the programme's analyses for the service and return their ids."""
    parts = [_whole(found, found.holdout, PROGRAMME, headline_of(found))]
    if found.usual is not None or found.no_usual:
        parts.append(_whole(found, found.usual, USUAL, usual_line(found)))
    for head, entries in parts:
        results.publish(head, entries)
    return [head.id for head, _ in parts]


def _whole(
    found: Findings, compared: Compared | None, name: str, verdict: str
) -> tuple[AnalysisHead, Mapping[str, Any]]:
    if compared is None:
        title = f"{found.programme.name}: {name.replace('-', ' ')}"
        head = AnalysisHead(name, title, plan_of_programme().sentence, "not_enough_data", verdict, found.as_of)
        return head, whole(head, None)
    head = head_of(compared.analysis, name, as_of=found.as_of, verdict=verdict)
    return head, whole(head, compared.analysis, found.actions if name == PROGRAMME else ())
