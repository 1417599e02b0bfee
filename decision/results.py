"""What A/B analyses found, as files in the home that servers read: written whole, looked at anew by every request.

A file is two lines of JSON: what the list says of an analysis, and all of it. Nothing here analyses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import msgspec
from msgspec import Meta, Struct

from decision.errors import InvalidInput, NotFound

FOLDER = "analyses"
# The programme's own analysis.
PROGRAMME = "programme"
LARGEST, LONGEST_HEAD, MOST = 8_000_000, 20_000, 1_000
State = Literal["clear", "too_early", "unsound", "not_enough_data"]
Outcome = Literal["better", "worse", "undecided", "harmful", "too_early", "unsound", "not_enough_data"]
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ENDING = ".json"


class InvalidResult(NotFound):
    """A published result can't be read; for who asks there is none."""


class AnalysisHead(Struct, frozen=True):
    """An analysis in short: how it is read (plan), whether it may be (state), and what it says."""

    id: str
    name: str
    plan: str
    state: Annotated[
        State,
        Meta(
            description="clear: it may be read, whatever it says; too_early: its plan says to wait, and no figure is "
            "shown; unsound: a check failed; not_enough_data"
        ),
    ]
    verdict: str
    as_of: Annotated[datetime, Meta(tz=True, description="When it was computed")]
    outcomes: Annotated[
        dict[str, Outcome],
        Meta(
            description="By arm, against control. undecided: can't be told apart, so far where the plan goes on; "
            "harmful: a guardrail metric is harmed beyond its margin"
        ),
    ] = {}


class AnalysisResult(AnalysisHead, frozen=True):
    """A whole analysis, as encore ab analyse --json prints it. Where there was not enough data, little is in it."""

    sound: bool | None = None
    too_early: Annotated[bool, Meta(description="No figure is shown: effects are null, money is empty")] = False
    clear: bool = False
    claim: str = ""
    case: dict[str, Any] | None = None
    counts: dict[str, int] = {}
    left_out: dict[str, int] = {}
    checks: tuple[dict[str, Any], ...] = ()
    results: tuple[dict[str, Any], ...] = ()
    refusals: tuple[dict[str, Any], ...] = ()
    segments: tuple[dict[str, Any], ...] = ()
    money: dict[str, dict[str, Any]] = {}
    verdicts: tuple[dict[str, Any], ...] = ()
    actions: tuple[dict[str, Any], ...] = ()


_head, _result = msgspec.json.Decoder(AnalysisHead), msgspec.json.Decoder(AnalysisResult)


@dataclass(frozen=True, slots=True)
class Listed:
    """What is published, the newest first, and the ids of what can't be read."""

    heads: tuple[AnalysisHead, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """The folder of published analyses."""

    root: Path

    def publish(self, head: AnalysisHead, analysis: Mapping[str, Any]) -> Path:
        """Write an analysis where servers read it, in place of an earlier one with its id.

        Raises
        ------
        InvalidInput : an id that is none, or an analysis that is too large to be served.
        """
        require_id(head.id)
        first = msgspec.json.encode(head)
        whole = msgspec.json.encode(dict(analysis) | msgspec.to_builtins(head))
        _result.decode(whole)
        if len(first) > LONGEST_HEAD or len(first) + len(whole) + 2 > LARGEST:
            raise InvalidInput(
                f"Expected an analysis of at most {LARGEST:,} bytes, found {len(whole):,}.",
                hint="Leave out metrics or dimensions that nobody reads.",
            )
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / f"{head.id}{_ENDING}"
        unfinished = path.with_name(f".{path.name}.part")
        unfinished.write_bytes(first + b"\n" + whole + b"\n")
        unfinished.replace(path)
        return path

    def listed(self) -> Listed:
        """Return what is published; only the first line of each file is read."""
        found, unreadable = [], []
        try:
            names = sorted(path.name.removesuffix(_ENDING) for path in self.root.glob(f"*{_ENDING}"))
        except OSError:
            names = []
        for name in [name for name in names if _ID.fullmatch(name)][:MOST]:
            try:
                found.append(self._head(name))
            except InvalidResult:
                unreadable.append(name)
            except NotFound:
                # It was removed since the folder was read.
                continue
        return Listed(tuple(sorted(found, key=lambda head: head.as_of, reverse=True)), tuple(unreadable))

    def whole(self, name: str) -> bytes:
        """Return the JSON of an analysis.

        Raises
        ------
        NotFound : there is none with this id.
        InvalidResult : its file can't be read.
        """
        if not _ID.fullmatch(name):
            raise _nothing(name)
        with self._open(name) as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise _unreadable(name, f"more than {LARGEST:,} bytes")
        whole = text.partition(b"\n")[2].strip()
        try:
            found = _result.decode(whole)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unreadable(name, str(error)) from None
        if found.id != name:
            raise _unreadable(name, f"the analysis {found.id!r}")
        return whole

    def _head(self, name: str) -> AnalysisHead:
        with self._open(name) as file:
            first = file.readline(LONGEST_HEAD + 1)
        try:
            head = _head.decode(first)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _unreadable(name, str(error)) from None
        if head.id != name:
            raise _unreadable(name, f"the analysis {head.id!r}")
        return head

    def _open(self, name: str) -> BinaryIO:
        path = self.root / f"{name}{_ENDING}"
        try:
            if not path.exists():
                raise _nothing(name)
            # Opening what is no file, such as a pipe, might wait for ever.
            if not path.is_file():
                raise _unreadable(name, "something that is no file")
            return path.open("rb")
        except OSError as error:
            raise _unreadable(name, error.strerror or "a fault of the disk") from None


def require_id(text: str) -> None:
    """Raise `InvalidInput` for what is no id of an analysis."""
    if not _ID.fullmatch(text):
        raise InvalidInput(
            f"Expected an id of up to 64 small letters, digits, - and _, found {text!r}.", hint="Name one with --id."
        )


def _nothing(name: str) -> NotFound:
    return NotFound(
        f"Expected a published analysis, found none with the id {name[:80]!r}.",
        hint="GET /v1/experiments lists them; `encore ab analyse --publish` and `encore report programme` write them.",
    )


def _unreadable(name: str, found: str) -> InvalidResult:
    return InvalidResult(
        f"Expected a readable result of {name!r}, found {found[:200]}.",
        hint="`encore ab analyse --publish` writes it anew, that of the programme `encore report programme`.",
    )
