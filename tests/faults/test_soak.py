"""The soak in short: every fault once, for real, while tills go on asking."""

from pathlib import Path

from experiments.faults.faults import FAULTS
from experiments.faults.soak import Plan, Row, Soaked, possible, rows, soak, table

# Those in which no decision can be written.
NO_WRITES = ("disk full", "ledger locked by another program", "a writer stopped in its turn")
KILLS = ("a worker killed", "all workers killed", "the learner killed")


def check(found: Soaked) -> dict[str, Row]:
    assert found.audit.sound, (found.audit, table(found))
    assert all(answer.kind != "refused" for answer in found.answers), table(found)
    for window in found.windows:
        later = (answer for answer in found.answers if answer.at >= window.back)
        assert any(answer.kind == "made" for answer in later), f"nothing is decided after {window.fault}"
    return {row.fault: row for row in rows(found)}


def test_every_fault_once(tmp_path: Path) -> None:
    # The deadline is longer than a till's, so that a busy machine is no fault, and shorter than each fault lasts.
    plan = Plan(possible(), seconds=0.0, rounds=1, seed=1, deadline_ms=200.0, pause_seconds=(0.5, 0.8))
    found = soak(plan, folder=tmp_path, tell=lambda _: None)
    by_name = check(found)
    assert set(by_name) >= set(possible())
    for name in NO_WRITES:
        assert by_name[name].control > 0, table(found)
    for name, row in by_name.items():
        # Only where a process was ended that was at it: in bundles' faults a worker is killed as well.
        assert row.no_answer == 0 or any(word in name for word in ("killed", "to stop", "bundle")), table(found)
    assert by_name["bundle gone"].control > 0
    assert by_name["bundle unreadable"].control > 0
    assert by_name["bundle corrupt"].made > 0
    assert by_name["lookup slow (500,000 treatments)"].control > 0


def test_twenty_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    kills = {name: FAULTS[name] for name in KILLS}
    plan = Plan(kills, seconds=0.0, rounds=7, seed=2, deadline_ms=2_000.0, pause_seconds=(0.05, 0.4))
    found = soak(plan, folder=tmp_path, tell=lambda _: None)
    assert sum(row.times for row in check(found).values()) == 21
    assert sum(answer.kind == "made" for answer in found.answers) > 100
