"""The other side of the ratio: parse JSON, validate it, answer. Same server and settings as `encore serve`."""

from __future__ import annotations

import click
import msgspec
from flask import Flask, Response, request

from decision import server
from decision.api.schemas import DecisionQuestion


class Receipt(msgspec.Struct, frozen=True):
    """The least that the load takes for an answer."""

    decision_id: str | None
    recorded: bool


def create_app() -> Flask:
    """Return the application that decides nothing."""
    app = Flask("noop")
    decoder, encoder = msgspec.json.Decoder(DecisionQuestion), msgspec.json.Encoder()

    @app.get("/readyz")
    def readyz() -> Response:
        return Response(b"{}", mimetype="application/json")

    @app.post("/v1/decisions")
    def post_decision() -> Response:
        question = decoder.decode(request.get_data(cache=False))
        receipt = Receipt(question.decision_id, recorded=True)
        return Response(encoder.encode(receipt), mimetype="application/json")

    return app


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--workers", type=int, required=True)
@click.option("--threads", type=int, required=True)
def main(port: int, workers: int, threads: int) -> None:
    """Serve it."""
    server.run(
        "experiments.bench.serving.noop:create_app", host="127.0.0.1", port=port, workers=workers, threads=threads
    )


if __name__ == "__main__":
    main()
