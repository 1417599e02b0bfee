"""`encore keys …` and `encore audit`: who may call the service, and who has changed what."""

from __future__ import annotations

from datetime import datetime

import click

from decision.flow.keys import create_key
from decision.ledger.sqlite import SqliteLedger
from decision.stages.keys import Role
from decision.wiring import Home, system_user, utc_now


@click.group()
def keys() -> None:
    """Create, list and revoke the API keys without which the service answers nothing but its health.

    \b
    checkout   decides and sends events
    analyst    reads decisions and the policy
    marketer   likewise; promotions are made on the command line
    operator   reads the metrics
    admin      everything
    """


@keys.command()
@click.argument("name")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]), help="What the key may do.")
@click.pass_obj
def create(home: Home, name: str, role: str) -> None:
    """Create a key and print it, once: only its hash is kept. NAME is the system or person that will use it."""
    home.programme()
    click.echo(create_key(name, role=Role(role), ledger=home.ledger(), actor=system_user(), now=utc_now()))
    click.echo("This is shown once. Running servers know it within a second.", err=True)


@keys.command("list")
@click.pass_obj
def list_(home: Home) -> None:
    """List the keys: id, role, when they were created and revoked, name."""
    for key in SqliteLedger(home.ledger_path).api_keys():
        ended = f"revoked {_time(key.revoked_at)}" if key.revoked_at else "valid"
        click.echo(f"{key.key_id}  {key.role:8}  created {_time(key.created_at)}  {ended:27}  {key.name}")


@keys.command()
@click.argument("key_id", metavar="ID")
@click.pass_obj
def revoke(home: Home, key_id: str) -> None:
    """Revoke a key by its id; running servers refuse it within a second."""
    key = SqliteLedger(home.ledger_path).revoke_key(key_id, actor=system_user(), now=utc_now())
    click.echo(f"{key.key_id} ({key.name}) " + ("was revoked before." if key.revoked_at else "is revoked."))


@click.command()
@click.pass_obj
def audit(home: Home) -> None:
    """List what was administered, oldest first: keys, promotions, rollbacks, upgrades; when, and by whom."""
    for act in SqliteLedger(home.ledger_path).acts():
        detail = "  ".join(f"{name}={_on_one_line(value)}" for name, value in act.detail.items())
        click.echo(f"{_time(act.at)}  {act.actor}  {act.act}  {detail}")


def _on_one_line(value: object) -> str:
    # A reason is what somebody typed: it must not look like another act.
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"
