"""What a policy bundle says of itself: a JSON manifest beside one file of plain arrays."""

from __future__ import annotations

from datetime import datetime

import msgspec

from decision.bundle.folders import version_of
from decision.policies.registry import BANDITS
from decision.stages.context import Column

FORMAT = 1
POLICIES = (*BANDITS, "greedy_uplift")


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a bundle comes from: enough to find its run and its data again."""

    learner: str
    run_id: str
    data_sha256: str
    rows: int
    seed: int
    programme_digest: str
    encore_version: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The manifest. `heads` maps a component to the kind of model that predicts it.

    `trained_through`: decisions made before this moment have been learned from; the bandit starts there.
    `draws` and `exploration` are Thompson sampling's, see `policies.thompson`.
    `arrays_sha256` is the hash of `arrays.npz`; `version` ends in a hash over all other fields.
    """

    format: int
    created_at: datetime
    policy: str
    actions: tuple[str, ...]
    columns: tuple[Column, ...]
    heads: dict[str, str]
    draws: int
    exploration: float
    seed: int
    trained_through: datetime
    arrays_sha256: str
    provenance: Provenance
    version: str = ""

    @property
    def has_bandit(self) -> bool:
        """Return whether the policy decides by a belief, which goes on learning while it serves."""
        return self.policy in BANDITS

    def versioned(self) -> Manifest:
        """Return the manifest with the version that its content gives."""
        bare = msgspec.structs.replace(self, version="")
        return msgspec.structs.replace(self, version=version_of(bare, self.created_at))
