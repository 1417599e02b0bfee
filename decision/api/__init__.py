"""The HTTP interface; `create_app` in `api.app` puts it together."""

from decision.api.app import create_app

__all__ = ["create_app"]
