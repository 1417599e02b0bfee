"""`GET /v1/policy`: what serves now."""

from __future__ import annotations

import msgspec
from flask import Blueprint, Response

from decision.api.auth import open_to
from decision.api.problem import answer
from decision.api.schemas import PolicyAnswer
from decision.policies.bandit import Bandit
from decision.stages.keys import Role
from decision.wiring import Shop


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of the policy."""
    routes = Blueprint("policy", __name__)

    @routes.get("/v1/policy")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_policy() -> Response:
        serving = shop.serving
        champion, programme = serving.champion, serving.programme
        learned = champion.policy.posterior.n if champion and isinstance(champion.policy, Bandit) else 0
        return answer(
            PolicyAnswer(
                policy_version=serving.version,
                policy=champion.manifest.policy if champion else "rule",
                programme=programme.name,
                programme_digest=programme.digest,
                simulated=programme.simulated,
                learned_outcomes=learned,
                actions=tuple(action.action_id for action in programme.actions),
                provenance=msgspec.to_builtins(champion.manifest.provenance) if champion else None,
            )
        )

    return routes
