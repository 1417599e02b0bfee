"""The README.txt of an export: what is in each column, and how a figure is recomputed from the files."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from decision import __version__
from decision.programme.model import Programme
from experiments.exporting.columns import Column

_HOW = """\
Money in columns ending in _micros is in millionths of a {currency}. Times are UTC.
Join rewards to decisions on decision_id and keep rows where latest is true; a decision without a reward has not
matured, which is not the same as a reward of 0. Only rows with status final should enter an analysis.

Off-policy value of "always action a" by inverse propensity scoring, over decisions of the group random, and of the
group policy where policy_version is not business_as_usual (before the first promotion nothing was drawn there):
    mean over decisions of (action_id == a) / propensity * value_micros / 1000000
with control in its place where a was not allowed. `encore evaluate` does this on the rows where held_out is true. For
any other policy, replace (action_id == a) by the probability the policy gives to action_id; table propensities
holds what the logging policy gave to every allowed action. Of decisions with actions that the programme has dropped
since, `encore evaluate` leaves out those that took one, and divides the other propensities by what the rest add up to.

programme.toml beside this file is the programme at the time of the export. It holds the salt that fixes measurement
groups and coupon codes: keep the folder as you keep the customers' data.
"""


def readme(
    tables: Mapping[str, tuple[tuple[Column, ...], int]], *, form: str, programme: Programme, now: datetime
) -> str:
    """Return the text; `tables` maps a table to its columns and number of rows."""
    head = (
        f"Export of the Encore ledger of {programme.name}\n"
        f"{now:%Y-%m-%d %H:%M:%S} UTC, Encore {__version__}, programme {programme.digest}"
        f"{', SIMULATED' if programme.simulated else ''}\n"
    )
    parts = [head, _HOW.format(currency=programme.currency)]
    for name, (columns, n) in tables.items():
        width = max(len(column.name) for column in columns)
        lines = [f"  {column.name:<{width}}  {column.kind.value}: {column.about}" for column in columns]
        parts.append("\n".join([f"{name}.{form}: {n} rows", *lines, ""]))
    return "\n".join(parts)
