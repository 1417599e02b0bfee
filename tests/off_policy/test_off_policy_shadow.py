"""Shadow mode tells what a challenger would change, before anything is switched on."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from decision.errors import InvalidInput, NotEnoughData
from experiments.off_policy import Rounds
from experiments.off_policy.shadow import shadow
from experiments.shadow import shadow_of
from experiments.shadow_command import shadow as command
from tests import support, trials

NAMES = ("control", "a", "b")


def four_decisions(target: list[list[float]]) -> Rounds:
    return Rounds(np.array([0, 0, 1, 2]), np.zeros(4), np.full(4, 0.5), np.array(target), np.zeros((4, 3)))


NOBODY = np.zeros(4, dtype=bool)
CHAMPION = np.array([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0], [0, 0.5, 0.5]])
CHALLENGER = [[1.0, 0, 0], [0.0, 1.0, 0], [0, 0.5, 0.5], [0, 0, 1.0]]


def test_matches_moves_and_groups_by_hand() -> None:
    found = shadow(
        four_decisions(CHALLENGER),
        CHAMPION,
        actions=NAMES,
        may_judge=NOBODY,
        groups={"first two": np.array([True, True, False, False]), "last": np.array([False, False, False, True])},
    )
    # Logged 0, 0, 1, 2: the challenger would have done the same with 1, 0, 0.5 and 1; the champion with 1, 1, 1, 0.5.
    assert found.match_rate == pytest.approx(2.5 / 4)
    assert found.own_match_rate == pytest.approx(3.5 / 4)
    assert found.agreement == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)
    assert [(m.action, m.instead, m.share) for m in found.moves] == [("control", "a", 0.25), ("a", "b", 0.25)]
    assert [(g.name, g.n, g.changed) for g in found.groups] == [("first two", 2, 0.5), ("last", 1, 0.5)]
    assert found.verdict is None
    said = " ".join(found.sentences())
    assert "25.0% of decisions: a instead of control." in said
    assert "can't be estimated yet" in said


def test_a_policy_beside_itself_changes_nothing() -> None:
    found = shadow(four_decisions(CHAMPION.tolist()), CHAMPION, actions=NAMES, may_judge=~NOBODY)
    assert (found.agreement, found.moves) == (1, ())
    assert found.match_rate == found.own_match_rate
    assert found.verdict is not None
    assert found.verdict.contrast.gain == 0
    assert "Nothing has been switched on." in found.sentences()[-1]


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(InvalidInput, match="champion must have shape"):
        shadow(four_decisions(CHALLENGER), CHAMPION[:, :2], actions=NAMES, may_judge=NOBODY)


def test_the_last_days_of_a_ledger_are_replayed_and_left_as_they_are(tmp_path: Path) -> None:
    past = trials.past(1_000)
    home = trials.home(tmp_path / "home", past.rows)
    support.write_bundle(home.bundles, support.manifest(actions=trials.ACTIONS))
    ends = past.rows[-1].decision.decided_at
    before = home.ledger().counts()

    _, everything = shadow_of(home, None, now=ends, days=30)
    _, two_days = shadow_of(home, None, now=ends, days=2)

    assert everything.n == 1_000
    assert two_days.n == 2 * 24 * 6 + 1
    assert 0 < everything.judged < everything.n
    assert everything.verdict is not None
    assert 0 < everything.match_rate < 1
    assert {group.name.split(" = ")[0] for group in everything.groups} <= {"store", "tier"}
    assert home.ledger().counts() == before
    with pytest.raises(NotEnoughData, match="randomised decisions of the last 1 days"):
        shadow_of(home, None, now=ends + timedelta(days=300), days=1)


def test_the_command_says_it_in_sentences(tmp_path: Path) -> None:
    home = trials.home(tmp_path / "home", trials.past(300).rows)
    support.write_bundle(home.bundles, support.manifest(actions=trials.ACTIONS))
    result = CliRunner().invoke(command, ["--days", "10000"], obj=home)
    assert result.exit_code == 0, result.output
    assert "In 300 decisions the challenger would have done the same" in result.stdout
