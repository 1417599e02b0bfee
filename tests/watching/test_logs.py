"""Lines in the log: their two forms, what is left out of them, and how often a fault is told."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest

from decision.errors import Conflict, LedgerError
from decision.stages import hashing
from decision.watching import logs
from decision.watching.logs import FaultLog, Form, RequestLine
from decision.watching.seen import Seen

AT = datetime(2026, 3, 4, 12, 0, 1, tzinfo=UTC)
JSON, TEXT = Form(json=True, level=logging.INFO), Form(json=False, level=logging.INFO)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> tuple[logging.Logger, list[bytes]]:
    """A logger of its own, and the lines it has written."""
    written: list[bytes] = []
    monkeypatch.setattr(logs, "write", written.append)
    found = logging.Logger("test")
    found.addHandler(logs.Lines(JSON))
    return found, written


def request_line(**changes: str) -> RequestLine:
    return RequestLine(AT, "info", "request", "POST", "/v1/decisions", 200, 1.5, "r-1", **changes)


def test_a_request_in_both_forms() -> None:
    assert json.loads(JSON.of_request(request_line(action="control", reason="holdout"))) == {
        "time": "2026-03-04T12:00:01Z",
        "level": "info",
        "event": "request",
        "method": "POST",
        "route": "/v1/decisions",
        "status": 200,
        "ms": 1.5,
        "request_id": "r-1",
        "action": "control",
        "reason": "holdout",
    }
    assert TEXT.of_request(request_line()).decode() == (
        "12:00:01 info    request  method=POST  route=/v1/decisions  status=200  ms=1.5  request_id=r-1\n"
    )


@pytest.mark.parametrize("form", [JSON, TEXT])
def test_nothing_that_is_logged_breaks_a_line(form: Form) -> None:
    line = form.line(AT, "error", "one\ntwo\r\nthree", {"a": "", "b": None, "c": "x"})
    assert line.count(b"\n") == 1
    assert b"c" in line
    assert b'"a"' not in line


def test_an_exception_is_told_by_type_and_place_and_never_by_its_text(
    log: tuple[logging.Logger, list[bytes]],
) -> None:
    logger, written = log
    try:
        hashing.uniform(None, "anna@example.com")  # type: ignore[arg-type]
    except Exception:
        logger.exception("refresh failed")
    try:
        raise ValueError("anna@example.com")
    except ValueError:
        logger.exception("failed")
    first, second = map(json.loads, written)
    assert (first["event"], first["level"]) == ("refresh failed", "error")
    assert first["fault"]
    assert first["place"].startswith("stages/hashing.py:")
    assert (second["fault"], "place" in second) == ("ValueError", False), "outside Encore's own code"
    assert b"anna" not in b"".join(written)


def test_a_fault_is_told_once_in_a_while_with_how_often_it_came(log: tuple[logging.Logger, list[bytes]]) -> None:
    logger, written = log
    now = 100.0
    told = FaultLog(logger, clock=lambda: now)
    for _ in range(50):
        told.tell("fell back", LedgerError("Expected a disk, found none."), {"request_id": "r-1"})
    told.tell("fell back", Conflict("Customer anna@example.com has had another decision meanwhile."), {})
    now += logs.SILENCE_SECONDS
    told.tell("fell back", LedgerError("Expected a disk, found none."), {})
    first, other, last = map(json.loads, written)
    assert first["event"] == "fell back: Expected a disk, found none."
    assert ("repeats" in first, last["repeats"], first["request_id"]) == (False, 49, "r-1")
    assert other["fault"] == "Conflict"
    assert b"anna" not in b"".join(written)


def test_a_line_that_cannot_be_written_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logs.os, "write", full)
    logs.write(b"x\n")


@pytest.mark.parametrize("level", logs.LEVELS)
def test_requests_are_told_down_to_info(level: str) -> None:
    assert Form.of("json", level).tells_requests == (level in ("debug", "info"))


@pytest.mark.parametrize("given", ["till-7:4711", "a", "0" * 64, "A.b_c"])
def test_a_request_id_is_taken(given: str) -> None:
    assert Seen.of({"HTTP_X_REQUEST_ID": given}).request_id == given


@pytest.mark.parametrize("given", ["", "0" * 65, "a b", "a\n", "anna@example.com", "é", "-a", '"', "{}"])
def test_a_request_id_that_is_none_is_replaced(given: str) -> None:
    made = Seen.of({"HTTP_X_REQUEST_ID": given}).request_id
    assert made != given
    assert len(made) == 16


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (f"00-{'a' * 32}-{'b' * 16}-01", "a" * 32),
        (f"cc-{'a' * 32}-{'b' * 16}-01-what", "a" * 32),
        (f"00-{'0' * 32}-{'b' * 16}-01", ""),
        (f"00-{'A' * 32}-{'b' * 16}-01", ""),
        (f"00-{'a' * 31}-{'b' * 16}-01", ""),
        (f"cc-{'a' * 32}-{'b' * 16}-01-{'x' * 200}", ""),
        ("anna@example.com", ""),
    ],
)
def test_the_trace_of_a_traceparent(given: str, found: str) -> None:
    assert Seen.of({"HTTP_TRACEPARENT": given}).trace_id == found
