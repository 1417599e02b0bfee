"""The error tree: one sentence, what was expected and found, and a hint what to do."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """Return `1 mistake`, `2 mistakes`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


class EncoreError(Exception):
    """Base of every error a person is meant to read.

    Parameters
    ----------
    message : one sentence: what was expected, what was found, and where.
    hint : what to do about it; may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InvalidInput(EncoreError):
    """Something a caller gave is malformed or impossible."""

    def __init__(self, message: str, *, hint: str = "", pointer: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pointer = pointer


class UnknownName(InvalidInput):
    """A store, offer, channel, feature or action that the programme does not define, or an event that nobody knows."""


class NotFound(EncoreError):
    """A record that was asked for does not exist."""


class IdempotencyMismatch(EncoreError):
    """The same idempotency key or decision id came with another body."""


class InvalidProgramme(EncoreError):
    """The programme at `path` has mistakes; `problems` lists each with its place."""

    def __init__(self, problems: list[str], *, path: str) -> None:
        super().__init__(
            f"{path} has {counted(len(problems), 'mistake')}: " + "; ".join(problems),
            hint="Run `encore check` to see them one a line.",
        )
        self.problems = problems
        self.path = path


class InvalidBundle(EncoreError):
    """A policy bundle fails its hash, schema or compatibility check."""


class LedgerError(EncoreError):
    """The ledger can't be opened, is newer than this version, or refused a write."""


class DeadlinePassed(LedgerError):
    """The ledger did not get to it in the time that was given; the caller was not told of anything written."""


class InboxFull(LedgerError):
    """There is no room in the inbox for what can't be used: somebody has to look at it."""


class Conflict(LedgerError):
    """What the decision relied on (a budget, a frequency cap) changed before it was written."""

    def __init__(self, message: str, *, exhausted: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.exhausted = exhausted


class NotEnoughData(EncoreError):
    """A statistic or a model would need more data than there is; the message says how much."""
