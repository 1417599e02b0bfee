"""Puts the rooms together: paths of a home folder, and a shop whose serving record is kept fresh."""

from __future__ import annotations

import logging
import os
import pwd
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from decision.bundle.neighbours import NeighbourStore
from decision.bundle.shelf import FOLDER, fresh_shelf
from decision.bundle.store import BundleStore
from decision.errors import EncoreError, InvalidProgramme, LedgerError
from decision.flow.pace import prices_in_force
from decision.flow.promotion import champion_version
from decision.flow.rank import fresh_model
from decision.ledger.base import Ledger
from decision.ledger.sqlite import SqliteLedger
from decision.limits import Limits, from_environment
from decision.locks import FileLock
from decision.policies.hashed import RankModel
from decision.programme.model import Programme
from decision.programme.read import load_programme
from decision.results import FOLDER as RESULTS
from decision.results import Results
from decision.serving import Champion, Serving, champion_from
from decision.stages.keys import Keyring

log = logging.getLogger("encore")
REFRESH_SECONDS = 0.5
LEARNERS_PATIENCE = 5.0
# Where the learner notes when its last round ended, in seconds since 1970.
LEARNERS_ROUND = "learner"


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of a shop: programme, ledger, bundles."""

    root: Path

    @property
    def programme_path(self) -> Path:
        """Return where `programme.toml` is."""
        return self.root / "programme.toml"

    @property
    def ledger_path(self) -> Path:
        """Return where the ledger is."""
        return self.root / "ledger.db"

    @property
    def bundles(self) -> BundleStore:
        """Return the store of policy bundles."""
        return BundleStore(self.root / "bundles")

    @property
    def recommendations(self) -> NeighbourStore:
        """Return the store of what is recommended from."""
        return NeighbourStore(self.root / FOLDER)

    @property
    def results(self) -> Results:
        """Return the published analyses."""
        return Results(self.root / RESULTS)

    def programme(self) -> Programme:
        """Read the programme. Raises `NotFound` or `InvalidProgramme`."""
        return load_programme(self.programme_path)

    @contextmanager
    def learning(self) -> Iterator[None]:
        """Keep other learners out for a round: what one reads and then writes, another must not write meanwhile.

        Raises
        ------
        LedgerError : another learner is at it, and did not end its round within `LEARNERS_PATIENCE` seconds.
        """
        lock = FileLock(self.root / "learn.lock")
        if not lock.acquire(patience=LEARNERS_PATIENCE):
            raise LedgerError(
                f"Expected no other learner in {self.root}, found one at work for more than {LEARNERS_PATIENCE:g} s.",
                hint="One `encore learn` does all the work of a home.",
            )
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Keep other senders of webhooks out: two would send each message twice. A killed one is out at once.

        Raises
        ------
        LedgerError : another sender is at work.
        """
        lock = FileLock(self.root / "webhooks.lock")
        if not lock.acquire(patience=LEARNERS_PATIENCE):
            hint = "One `encore webhooks send` does all the work of a home."
            raise LedgerError(f"Expected no other sender of webhooks in {self.root}, found one at work.", hint=hint)
        try:
            yield
        finally:
            lock.release()

    def ledger(self) -> SqliteLedger:
        """Open the ledger, creating it where there is none."""
        if not self.ledger_path.exists():
            return SqliteLedger.create(self.ledger_path)
        return SqliteLedger(self.ledger_path)


def utc_now() -> datetime:
    """Return the time now in UTC."""
    return datetime.now(UTC)


def system_user() -> str:
    """Return who runs this process, for the audit log: not what the environment says, which anybody may set."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


class Shop:
    """What a server holds: the ledger, the valid keys, and what follows the programme, promotions and beliefs.

    A programme or bundle that can't be read is refused and the last good one stays.
    """

    def __init__(self, home: Home, limits: Limits | None = None) -> None:
        """Open the shop in `home`. Raises `EncoreError` when it can't be opened at all."""
        self.home = home
        self.limits = limits or from_environment()
        self.ledger: Ledger = home.ledger()
        self.faults: dict[str, int] = {}
        # Who else counts faults: the metrics that all processes share.
        self.on_fault: Callable[[str], None] = lambda _: None
        self._programme_stamp = self._stamp()
        self._mark: tuple[str | None, int] = (None, 0)
        self._stop = threading.Event()
        self.keys = Keyring()
        self.serving = Serving(home.programme(), None)
        self.rank_model = RankModel()
        self.refresh()

    def _stamp(self) -> tuple[int, int]:
        try:
            # What made a file unreadable, and readable again, shows in the second only.
            found = self.home.programme_path.stat()
        except FileNotFoundError:
            return 0, 0
        return found.st_mtime_ns, found.st_ctime_ns

    def refresh(self) -> None:
        """Pick up new and revoked keys, an edited programme, a promotion, a rollback, a new belief or price."""
        # Keys come first: nothing that is wrong with the rest may keep a revoked one alive.
        self.keys = self._fresh_keys()
        before, programme = self.serving, self._fresh_programme()
        champion, prices, missing = before.champion, before.prices, before.missing
        try:
            version = champion_version(self.ledger)
            missing = version if champion is None else None
            champion = self._fresh_champion(version)
            missing = None
            prices = prices_in_force(programme, self.ledger)
        except EncoreError as error:
            self.count_fault(type(error).__name__)
            log.error("kept the last good policy: %s", error)
        shelf, wrong = fresh_shelf(self.home.root, before.shelf)
        if wrong is not None:
            self.count_fault(type(wrong).__name__)
            log.error("kept the last good recommendations: %s", wrong)
        self.serving = Serving(programme, champion, prices, missing, shelf)
        self.rank_model = fresh_model(self.ledger.ranks, after=self.rank_model.version) or self.rank_model

    def _fresh_keys(self) -> Keyring:
        try:
            return Keyring(self.ledger.api_keys())
        except EncoreError as error:
            self.count_fault(type(error).__name__)
            log.error("kept the last keys: %s", error)
            return self.keys

    def _fresh_programme(self) -> Programme:
        stamp = self._stamp()
        if stamp == self._programme_stamp:
            return self.serving.programme
        try:
            programme = self.home.programme()
        except EncoreError as error:
            if isinstance(error, InvalidProgramme):
                # Only an edit can mend it; anything else may end by itself.
                self._programme_stamp = stamp
            self.count_fault(type(error).__name__)
            log.error("kept the last good programme: %s", error)
            return self.serving.programme
        self._programme_stamp = stamp
        return programme

    def _fresh_champion(self, version: str | None) -> Champion | None:
        served, sequence = self._mark
        if version is None:
            if served is not None:
                log.info("business as usual serves again")
            self._mark = (None, 0)
            return None
        same = version == served
        belief = self.ledger.posterior(version, after=sequence if same else 0)
        if same and belief is None:
            return self.serving.champion
        number = belief.sequence if belief else 0
        champion = champion_from(self.home.bundles.read(version), belief.data if belief else None, number)
        if not same:
            log.info("another policy serves", extra={"facts": {"policy_version": champion.version}})
        self._mark = (version, number)
        return champion

    def champion_of(self, policy_version: str) -> Champion | None:
        """Return the champion that a past decision was made with, or None when there was none or it is gone.

        Its bandit holds the belief of now; the uplift model is the one of then.
        """
        serving = self.serving.champion
        version = policy_version.partition("+")[0]
        if serving is not None and serving.manifest.version == version:
            return serving
        try:
            return champion_from(self.home.bundles.read(version))
        except EncoreError:
            return None

    def follow(self) -> None:
        """Refresh in a thread of its own until `close`."""
        threading.Thread(target=self._follow, name="refresh", daemon=True).start()

    def _follow(self) -> None:
        while not self._stop.wait(REFRESH_SECONDS):
            try:
                self.refresh()
                self.ledger.tidy()
            except Exception:
                # The thread must outlive any fault: without it no promotion would ever arrive.
                self.count_fault("refresh")
                log.exception("refresh failed")

    def close(self) -> None:
        """Stop following."""
        self._stop.set()

    def count_fault(self, name: str) -> None:
        """Count a fault that was answered or survived."""
        self.faults[name] = self.faults.get(name, 0) + 1
        self.on_fault(name)
