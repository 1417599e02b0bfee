"""Measurement groups: by a salted hash of the customer, stable for the life of the programme; and who judges."""

from __future__ import annotations

from collections.abc import Mapping

from decision.records import Group
from decision.stages.hashing import uniform

EVALUATION_SHARE = 0.4
# Asking an enumeration for its members takes longer than all the rest.
_GROUPS = tuple(Group)


def assign(customer_id: str, *, salt: str, shares: Mapping[Group, float]) -> Group:
    """Return the group of a customer; `shares` sum to 1 and are laid out in the order of `Group`."""
    draw = uniform(salt, "group", customer_id)
    edge = 0.0
    for group in _GROUPS:
        edge += shares[group]
        if draw < edge:
            return group
    return Group.POLICY


def is_held_out(customer_id: str, *, salt: str) -> bool:
    """Return whether a customer judges policies, by a salted hash; nothing is trained on her."""
    return uniform(salt, "evaluation", customer_id) < EVALUATION_SHARE
