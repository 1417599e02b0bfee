"""`GET /v1/experiments` and `GET /v1/experiments/{id}`: what A/B analyses found, for the shop's people."""

from __future__ import annotations

import logging
from typing import Annotated

from flask import Blueprint, Response
from msgspec import Meta, Struct

from decision.api.auth import open_to
from decision.api.problem import answer
from decision.results import AnalysisHead, InvalidResult
from decision.stages.keys import Role
from decision.wiring import Shop

log = logging.getLogger("encore")


class ExperimentsAnswer(Struct, frozen=True):
    """Published analyses, the newest first."""

    experiments: tuple[AnalysisHead, ...]
    unreadable: Annotated[tuple[str, ...], Meta(description="Ids of results that can't be read")]


def blueprint(shop: Shop) -> Blueprint:
    """Return the routes of experiments."""
    routes = Blueprint("experiments", __name__)

    @routes.get("/v1/experiments")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_experiments() -> Response:
        found = shop.home.results.listed()
        for name in found.unreadable:
            _note(shop, f"the result {name} can't be read")
        return answer(ExperimentsAnswer(found.heads, found.unreadable))

    @routes.get("/v1/experiments/<experiment_id>")
    @open_to(Role.ANALYST, Role.MARKETER)
    def get_experiment(experiment_id: str) -> Response:
        try:
            return Response(shop.home.results.whole(experiment_id), mimetype="application/json")
        except InvalidResult as error:
            _note(shop, error.message)
            raise

    return routes


def _note(shop: Shop, sentence: str) -> None:
    shop.count_fault(InvalidResult.__name__)
    log.error("%s", sentence)
