"""Problems that clients of another protocol understand: RFC 9457 lets a problem carry members of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from flask import Blueprint, Response

from decision.api.schemas import Problem

# What a caller got wrong is a 400 in the protocols of others, where Encore tells a 422 apart.
_UNPROCESSABLE = 422


def extend_problems(routes: Blueprint, members: Callable[[Problem], dict[str, Any]]) -> None:
    """Add to every problem that the routes answer what `members` returns for it; its 422 become 400."""

    @routes.after_request
    def extend(response: Response) -> Response:
        if response.mimetype != "application/problem+json":
            return response
        problem = msgspec.json.decode(response.get_data(), type=Problem)
        if problem.status == _UNPROCESSABLE:
            problem = msgspec.structs.replace(problem, status=400)
        response.status_code = problem.status
        response.set_data(msgspec.json.encode(msgspec.to_builtins(problem) | members(problem)))
        return response
