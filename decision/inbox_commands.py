"""`encore inbox …`: what was delivered and could not be used, and what only a person can answer."""

from __future__ import annotations

from collections.abc import Sequence

import click

from decision.errors import NotFound, counted
from decision.flow.receive import Desk
from decision.ledger.base import Act, InboxItem, Ledger
from decision.ledger.sqlite import SqliteLedger
from decision.wiring import Home, system_user, utc_now


@click.group()
def inbox() -> None:
    """Show and work off the inbox: what was delivered and could not be used, and requests on privacy.

    \b
    list    each item with its number and the reason
    retry   try them again, after the programme was mended or a missing order has come
    done    take one out that you have seen to
    """


@inbox.command("list")
@click.pass_obj
def list_(home: Home) -> None:
    """List what is in the inbox: number, when it came, from where, and why it is there."""
    for item in SqliteLedger(home.ledger_path).inbox():
        click.echo(
            f"{item.item_id:5}  {item.at:%Y-%m-%d %H:%M:%S}  {item.source}  {_plain(item.topic)}  {_plain(item.reason)}"
        )


@inbox.command()
@click.argument("numbers", metavar="[NUMBER]...", type=int, nargs=-1)
@click.pass_obj
def retry(home: Home, numbers: tuple[int, ...]) -> None:
    """Try items again, all of them or those of these numbers, however old; what can be used leaves the inbox."""
    # Imported here, because it loads the web framework.
    from decision.api.compat.sources import SOURCES

    ledger, programme = SqliteLedger(home.ledger_path), home.programme()
    items = _chosen(ledger, numbers)
    used = 0
    for item in items:
        desk = Desk(SOURCES[item.source], programme, ledger, utc_now())
        why = desk.retry(item)
        used += not why
        if why:
            click.echo(f"{item.item_id:5}  {_plain(why)}")
    click.echo(f"Used {used} of {counted(len(items), 'item')}.")


@inbox.command()
@click.argument("number", type=int)
@click.pass_obj
def done(home: Home, number: int) -> None:
    """Take an item out that you have seen to. The audit log says who did, and what it was."""
    ledger = SqliteLedger(home.ledger_path)
    (item,) = _chosen(ledger, (number,))
    detail = {"item": str(number), "source": item.source, "topic": item.topic}
    ledger.take_from_inbox(number, act=Act(utc_now(), system_user(), "inbox done", detail))
    click.echo(f"{number} is done.")


def _chosen(ledger: Ledger, numbers: Sequence[int]) -> list[InboxItem]:
    """Return the items of these numbers, or all. Raises `NotFound` for a number that none has."""
    items = {item.item_id: item for item in ledger.inbox()}
    for number in numbers:
        if number not in items:
            raise NotFound(f"Expected the number of an item, found {number}.", hint="`encore inbox list` shows them.")
    return [items[number] for number in numbers or items]


def _plain(text: str) -> str:
    # Topics and reasons hold what somebody sent: they must not look like another line.
    return "".join(letter if letter.isprintable() else " " for letter in text)
