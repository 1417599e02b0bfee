"""One line for whatever happens, on standard error: JSON for machines, words where a person watches.

Nothing personal and no secret is written: of an exception only its type and place, since its text may quote what a
customer sent. Encore's own `LedgerError` quotes nobody.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from decision.errors import LedgerError

STANDARD_ERROR = 2
FORMATS = ("auto", "json", "text")
LEVELS = ("debug", "info", "warning", "error")
FORMAT_VARIABLE, LEVEL_VARIABLE = "ENCORE_LOG_FORMAT", "ENCORE_LOG_LEVEL"
# The same fault at the same place is told once in so many seconds, with how often it came meanwhile.
SILENCE_SECONDS = 10.0
_HERE = Path(__file__).parents[1]
_encoder = msgspec.json.Encoder()


class RequestLine(msgspec.Struct, omit_defaults=True):
    """The line of a request: `ms` is how long it took; what is empty is left out."""

    time: datetime
    level: str
    event: str
    method: str
    route: str
    status: int
    ms: float
    request_id: str
    trace_id: str = ""
    decision_id: str = ""
    action: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """How lines look, and from which level on there are any."""

    json: bool
    level: int

    @classmethod
    def of(cls, form: str, level: str) -> Form:
        """Return the form that options name; `auto` is text on a terminal and JSON elsewhere."""
        as_json = form == "json" or (form == "auto" and not os.isatty(STANDARD_ERROR))
        return cls(as_json, logging.getLevelNamesMapping()[level.upper()])

    @classmethod
    def from_environment(cls) -> Form:
        """Return the form that `encore serve` was started with, for its workers."""
        return cls.of(os.environ.get(FORMAT_VARIABLE, "auto"), os.environ.get(LEVEL_VARIABLE, "info"))

    @property
    def tells_requests(self) -> bool:
        """Return whether requests have lines."""
        return self.level <= logging.INFO

    def line(self, at: datetime, level: str, event: str, facts: Mapping[str, Any]) -> bytes:
        """Return a line; facts that are empty or None are left out."""
        known = {name: fact for name, fact in facts.items() if fact is not None and fact != ""}
        if self.json:
            return _encoder.encode({"time": at, "level": level, "event": event, **known}) + b"\n"
        pairs = "".join(f"  {name}={fact}" for name, fact in known.items())
        return f"{at:%H:%M:%S} {level:7} {' '.join(event.split())}{pairs}\n".encode(errors="replace")

    def of_request(self, request: RequestLine) -> bytes:
        """Return the line of a request."""
        if self.json:
            return _encoder.encode(request) + b"\n"
        facts = msgspec.structs.asdict(request)
        return self.line(facts.pop("time"), facts.pop("level"), facts.pop("event"), facts)


def write(line: bytes) -> None:
    """Write a line in one piece. A full disk behind standard error must not become an error of the caller."""
    try:
        os.write(STANDARD_ERROR, line)
    except OSError:
        return


class Lines(logging.Handler):
    """Writes what is logged."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record with its `facts`, and of its exception what `described` says."""
        try:
            facts: dict[str, Any] = dict(getattr(record, "facts", {}))
            if record.exc_info and record.exc_info[1] is not None:
                facts |= described(record.exc_info[1])
            at = datetime.fromtimestamp(record.created, UTC)
            write(self.form.line(at, record.levelname.lower(), record.getMessage(), facts))
        except Exception:
            self.handleError(record)


def set_up(form: Form) -> None:
    """Write everything that this process logs in a form, instead of what wrote it until now."""
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, Lines) or type(handler) is logging.StreamHandler:
            root.removeHandler(handler)
    root.addHandler(Lines(form))
    root.setLevel(form.level)
    logging.captureWarnings(True)


def described(fault: BaseException) -> dict[str, str]:
    """Return the type of an exception and where it came from, innermost call first, in Encore's own code."""
    calls = [c for c in traceback.extract_tb(fault.__traceback__) if Path(c.filename).is_relative_to(_HERE)]
    places = [f"{Path(call.filename).relative_to(_HERE)}:{call.lineno} {call.name}" for call in reversed(calls)]
    return {"fault": type(fault).__name__, "place": " < ".join(places[:4])}


class FaultLog:
    """Tells of faults, of each kind and place once in `SILENCE_SECONDS`."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log, self._clock = log, clock
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def tell(self, event: str, fault: BaseException, facts: Mapping[str, str]) -> None:
        """Log that `event` happened because of a fault, with the `facts` of the request."""
        about, now = described(fault), self._clock()
        kind = about["fault"], about["place"]
        last, kept_back = self._told.get(kind, (-SILENCE_SECONDS, 0))
        if now - last < SILENCE_SECONDS:
            self._told[kind] = last, kept_back + 1
            return
        self._told[kind] = now, 0
        said = f": {fault}" if type(fault) is LedgerError else ""
        self._log.error("%s%s", event, said, extra={"facts": {**about, "repeats": kept_back or None, **facts}})
