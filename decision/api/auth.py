"""Who may call what: a key with a role, for every route that does not say otherwise."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, Response, request

from decision.api.problem import problem
from decision.stages.keys import Role
from decision.wiring import Shop

View = TypeVar("View", bound=Callable[..., Any])
# Where clients of Azure's services put their key.
SUBSCRIPTION_KEY = "HTTP_OCP_APIM_SUBSCRIPTION_KEY"
CHALLENGES = ('Bearer realm="encore"', 'Basic realm="encore"')


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call a route: keys of these roles, or anybody without one."""

    roles: tuple[Role, ...]
    keyless: bool = False


# A route that says nothing is for admin alone. At an address without a route there is nothing to protect, and whoever
# has no key learns nothing of which ones there are.
UNDECLARED = Access((Role.ADMIN,))
NOWHERE = Access(tuple(Role))


def open_to(*roles: Role) -> Callable[[View], View]:
    """Declare the roles that may call a view; admin may always."""
    return lambda view: _declare(view, Access((*roles, Role.ADMIN)))


def keyless(view: View) -> View:
    """Declare that anybody may call a view."""
    return _declare(view, Access(tuple(Role), keyless=True))


def _declare(view: View, access: Access) -> View:
    vars(view)["access"] = access
    return view


def access_of(app: Flask, endpoint: str | None) -> Access:
    """Return who may call the route of an endpoint, None for an address without a route."""
    if endpoint is None:
        return NOWHERE
    declared: Access = vars(app.view_functions[endpoint]).get("access", UNDECLARED)
    return declared


def guard(app: Flask, shop: Shop) -> None:
    """Refuse every request to the app whose key does not allow it."""

    @app.before_request
    def refuse() -> Response | None:
        access = access_of(app, request.endpoint)
        if access.keyless:
            return None
        text = presented(request.environ.get("HTTP_AUTHORIZATION", "")) or request.environ.get(SUBSCRIPTION_KEY, "")
        key = shop.keys.find(text)
        if key is None:
            return _unknown("one that is unknown or revoked" if text else "none")
        return None if key.role in access.roles else _forbidden(access, key.role)


def presented(authorization: str) -> str:
    """Return the key in an Authorization header: `Bearer KEY`, or Basic with the key as user name; else nothing."""
    scheme, _, rest = authorization.partition(" ")
    rest = rest.strip()
    match scheme.lower():
        case "bearer":
            return rest
        case "basic":
            try:
                return b64decode(rest, validate=True).decode().partition(":")[0]
            except (binascii.Error, ValueError):
                return ""
    return ""


def _unknown(found: str) -> Response:
    # Never the text itself: it may be a valid key with a slip of the finger in it.
    response = problem(
        401,
        "unauthorized",
        f"Expected an API key, found {found}.",
        hint="Send `Authorization: Bearer KEY`, or Basic with the key as user name. `encore keys create` makes one.",
    )
    for challenge in CHALLENGES:
        response.headers.add("WWW-Authenticate", challenge)
    return response


def _forbidden(access: Access, role: Role) -> Response:
    return problem(
        403,
        "forbidden",
        f"Expected a key with the role {' or '.join(access.roles)}, found one with the role {role}.",
        hint="`encore keys create` makes one.",
    )
