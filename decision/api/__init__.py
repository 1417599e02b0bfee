"""The HTTP interface; `create_app` in `api.app` puts it together. `schemas` is light: clients share it."""
