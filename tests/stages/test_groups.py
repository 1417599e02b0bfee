"""Measurement groups: shares are met, and nobody ever changes group."""

import pytest
from scipy.stats import chisquare

from decision.records import Group
from decision.stages.groups import assign
from decision.stages.hashing import uniform
from tests.support import EVERYBODY

SHARES = {Group.HOLDOUT: 0.05, Group.RANDOM: 0.10, Group.BUSINESS_AS_USUAL: 0.05, Group.POLICY: 0.80}
QUARTERS = {Group.HOLDOUT: 0.25, Group.RANDOM: 0.25, Group.BUSINESS_AS_USUAL: 0.25, Group.POLICY: 0.25}

# A promise: these never change, or a running programme would treat its holdout.
GOLDEN = [
    ("pepper", "1", 0.4173209288770997, "random"),
    ("pepper", "42", 0.4425543097169312, "random"),
    ("pepper", "C-1001", 0.6946280750938082, "business_as_usual"),
    ("pepper", "C-1002", 0.940944784316779, "policy"),
    ("pepper", "anna@example.com", 0.7949235340823224, "policy"),
    ("pepper", "0", 0.07329675255403323, "holdout"),
    ("pepper", "ünïcode", 0.06456490604557874, "holdout"),
    ("pepper", "customer-000000001", 0.8140797230915334, "policy"),
    ("pepper", "x" * 64, 0.4498221073395975, "random"),
    ("pepper", "A B", 0.7288976756387123, "business_as_usual"),
    ("a1b2c3d4e5f60718", "1", 0.2502878759263022, "random"),
    ("a1b2c3d4e5f60718", "42", 0.011674581859577593, "holdout"),
    ("a1b2c3d4e5f60718", "C-1001", 0.16175570874961864, "holdout"),
    ("a1b2c3d4e5f60718", "C-1002", 0.3481436818148752, "random"),
    ("a1b2c3d4e5f60718", "anna@example.com", 0.1900260687325983, "holdout"),
    ("a1b2c3d4e5f60718", "0", 0.47822796970217485, "random"),
    ("a1b2c3d4e5f60718", "ünïcode", 0.7151993796428704, "business_as_usual"),
    ("a1b2c3d4e5f60718", "customer-000000001", 0.7564676277911535, "policy"),
    ("a1b2c3d4e5f60718", "x" * 64, 0.3510991475218401, "random"),
    ("a1b2c3d4e5f60718", "A B", 0.18875559167191946, "holdout"),
]


@pytest.mark.parametrize(("salt", "customer", "draw", "group"), GOLDEN)
def test_golden_buckets_never_change(salt: str, customer: str, draw: float, group: str) -> None:
    assert uniform(salt, "group", customer) == draw
    assert assign(customer, salt=salt, shares=QUARTERS) == group


def test_shares_are_met_over_100_000_customers() -> None:
    n = 100_000
    found = dict.fromkeys(Group, 0)
    for customer in range(n):
        found[assign(str(customer), salt="pepper", shares=SHARES)] += 1
    # Customers are fixed, so this either always holds or never; 0.001 is the usual line for such a look.
    assert chisquare(list(found.values()), [n * SHARES[g] for g in Group]).pvalue > 0.001


def test_another_salt_deals_anew() -> None:
    customers = [str(n) for n in range(2_000)]
    same = sum(assign(c, salt="a", shares=QUARTERS) is assign(c, salt="b", shares=QUARTERS) for c in customers)
    # Independent quarters agree for a quarter, with a standard deviation of 19.
    assert abs(same - 500) < 4 * 19


@pytest.mark.parametrize("group", Group)
def test_a_share_of_one_takes_everybody(group: Group) -> None:
    assert {assign(str(n), salt="s", shares=EVERYBODY[group]) for n in range(500)} == {group}


def test_a_larger_holdout_keeps_those_who_were_in_it() -> None:
    wider = {**SHARES, Group.HOLDOUT: 0.10, Group.POLICY: 0.75}
    before = {c for c in map(str, range(5_000)) if assign(c, salt="s", shares=SHARES) is Group.HOLDOUT}
    after = {c for c in map(str, range(5_000)) if assign(c, salt="s", shares=wider) is Group.HOLDOUT}
    assert before < after
