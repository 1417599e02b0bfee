"""What all sections of the benchmark share: how to measure, where, and the count of what was acknowledged and lost."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from decision.flow.keys import create_key
from decision.stages.keys import Role
from decision.wiring import Home, system_user, utc_now
from experiments.bench.serving.measure import Measure, Meter, interleaved
from experiments.bench.serving.report import Figures, Findings, Settings
from experiments.bench.serving.servers import Size
from experiments.bench.serving.world import write_home


@dataclass(frozen=True, slots=True)
class Bench:
    """How to measure; ledgers lie in temporary folders inside `folder`, and the servers' logs stay there."""

    settings: Settings
    folder: Path
    tell: Callable[[str], None]

    @property
    def size(self) -> Size:
        """Return the size of every server."""
        return Size(self.settings.workers, self.settings.threads)

    @contextmanager
    def home(self, *, rules: bool = True) -> Iterator[tuple[Home, str]]:
        """Yield the benchmark's home with an API key, until the block ends; see `write_home`."""
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="home-") as temporary:
            home = write_home(Path(temporary), rules=rules)
            with closing(home.ledger()) as ledger:
                key = create_key("bench", role=Role.CHECKOUT, ledger=ledger, actor=system_user(), now=utc_now())
            yield home, key

    def rounds(self, entries: Mapping[str, Measure]) -> dict[str, tuple[Figures, ...]]:
        """Return what each entry does in every round."""
        return interleaved(entries, rounds=self.settings.rounds, seconds=self.settings.seconds, tell=self.tell)


def checked(decided: Sequence[Meter], *, home: Home, beside: Sequence[Meter] = ()) -> Findings:
    """Return what went wrong: every error, and how many acknowledged decisions the ledger of `home` does not hold.

    Of meters `beside`, errors alone count: nothing that they measured is kept.
    """
    measured = [each for meter in (*decided, *beside) for each in meter.measured]
    errors: Counter[str] = Counter()
    for each in measured:
        errors.update(each.errors)
    acknowledged = [decision_id for meter in decided for each in meter.measured for decision_id in each.acknowledged]
    with closing(home.ledger()) as ledger:
        lost = sum(ledger.decision(decision_id) is None for decision_id in acknowledged)
    return Findings(
        errors=dict(errors),
        acknowledged=len(acknowledged),
        lost=lost,
        client_busy=max((each.busy for each in measured), default=0.0),
    )


def together(found: Sequence[Findings]) -> Findings:
    """Return what went wrong in any of several measurements; their lines and claims are left out."""
    errors: Counter[str] = Counter()
    for each in found:
        errors.update(each.errors)
    return Findings(
        errors=dict(errors),
        acknowledged=sum(each.acknowledged for each in found),
        lost=sum(each.lost for each in found),
        client_busy=max((each.client_busy for each in found), default=0.0),
    )
