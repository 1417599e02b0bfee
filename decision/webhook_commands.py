"""`encore webhooks …`: the systems that deliver decisions, what they are told, and what went wrong."""

from __future__ import annotations

import random
import secrets
import signal
import threading
from dataclasses import replace
from datetime import timedelta

import click

from decision import webhook_secrets
from decision.api.webhook import trial_message
from decision.courier import Courier, check_url
from decision.errors import EncoreError, InvalidInput, NotFound
from decision.ledger.base import Act, Ledger
from decision.programme.section import unknown_name
from decision.sender import Sender
from decision.stages.delivery import ON_PAGE, Delivery, Endpoint, State
from decision.stages.signing import valid
from decision.wiring import Home, system_user, utc_now


@click.group()
def webhooks() -> None:
    """Tell other systems the decisions that they deliver (e-mail, SMS, push), as Standard Webhooks.

    \b
      encore webhooks add mailer https://mail.example.com/encore --channel email
      encore webhooks test mailer
      encore webhooks send       beside the service: sends what is due, again where it failed
    """


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option("--channel", "channels", multiple=True, required=True, help="A channel it delivers; may be repeated.")
@click.option("--plain-http", is_flag=True, help="Accept http to another machine.")
@click.pass_obj
def add(home: Home, name: str, url: str, channels: tuple[str, ...], plain_http: bool) -> None:
    """Tell a system decisions from now on. Prints its secret, which `webhooks/NAME.secret` keeps."""
    known = tuple(channel for channel in home.programme().channels if channel != ON_PAGE)
    for channel in channels:
        if channel not in known:
            hint = "What is on the page is shown by who asked." if channel == ON_PAGE else ""
            raise unknown_name("channel", channel, known, pointer="--channel", hint=hint)
    check_url(url, plain=plain_http)
    endpoint = Endpoint(name, url, tuple(dict.fromkeys(channels)), utc_now())
    home.ledger().outbox.add(endpoint, actor=system_user())
    click.echo(webhook_secrets.renew(home.root, name, before=()).text)
    click.echo(f"Kept in {webhook_secrets.path_of(home.root, name)}.", err=True)


@webhooks.command("list")
@click.pass_obj
def list_(home: Home) -> None:
    """List the endpoints with their messages by state."""
    outbox = home.ledger().outbox
    counts = outbox.counts()
    for endpoint in outbox.endpoints():
        states = ", ".join(f"{counts.get((endpoint.name, state), 0)} {state}" for state in State)
        stopped = f"  stopped: {endpoint.stopped}" if endpoint.stopped else ""
        click.echo(f"{endpoint.name}  {endpoint.shown}  {', '.join(endpoint.channels)}  {states}{stopped}")


@webhooks.command()
@click.argument("name")
@click.option("--reason", default="by hand", show_default=True, help="Why, for the record.")
@click.pass_obj
def stop(home: Home, name: str, reason: str) -> None:
    """Tell an endpoint no more decisions."""
    home.ledger().outbox.stop(name, reason=reason or "by hand", actor=system_user(), now=utc_now())


@webhooks.command()
@click.argument("name")
@click.pass_obj
def start(home: Home, name: str) -> None:
    """Go on with an endpoint that was stopped; what has become too old meanwhile is not sent."""
    home.ledger().outbox.stop(name, reason="", actor=system_user(), now=utc_now())


@webhooks.command()
@click.argument("name")
@click.option("--overlap-hours", default=24.0, show_default=True, help="How long the old secret signs as well.")
@click.pass_obj
def rotate(home: Home, name: str, overlap_hours: float) -> None:
    """Give an endpoint a new secret and print it; for a while both sign."""
    ledger, now = home.ledger(), utc_now()
    _endpoint(ledger, name)
    end = now + timedelta(hours=overlap_hours)
    old = webhook_secrets.read(home.root, name, environment={})
    ending = [replace(secret, until=min(secret.until or end, end)) for secret in old]
    kept = valid(ending, now)
    secret = webhook_secrets.renew(home.root, name, before=kept)
    ledger.record_act(Act(now, system_user(), "webhook secret rotated", {"endpoint": name}))
    click.echo(secret.text)


@webhooks.command()
@click.argument("name")
@click.pass_obj
def test(home: Home, name: str) -> None:
    """Send an endpoint a message of type `encore.test` and say what it answered."""
    endpoint = _endpoint(home.ledger(), name)
    courier = Courier(endpoint, lambda: webhook_secrets.read(home.root, name), utc_now)
    reply = courier.post(f"msg_test_{secrets.token_hex(12)}", trial_message(utc_now()))
    courier.close()
    if not reply.taken:
        raise EncoreError(f"Expected {name} to answer with a status of 200 to 299, found {reply.detail}.")
    click.echo(f"{name} answered: {reply.detail}.")


@webhooks.command()
@click.argument("name", required=False)
@click.pass_obj
def dead(home: Home, name: str | None) -> None:
    """List the messages that were given up, with their last answer."""
    for one in home.ledger().outbox.dead(name):
        click.echo(f"{one.changed_at:%Y-%m-%d %H:%M:%S}  {one.endpoint}  {one.decision_id}  {one.attempts}  {one.note}")


@webhooks.command()
@click.argument("decision_id", metavar="DECISION", required=False)
@click.option("--all", "everything", is_flag=True, help="All that were given up.")
@click.option("--endpoint", help="Only those of one endpoint.")
@click.pass_obj
def retry(home: Home, decision_id: str | None, everything: bool, endpoint: str | None) -> None:
    """Send a message again that was given up, or all of them, under the same ids."""
    if everything == (decision_id is not None):
        raise InvalidInput("Expected a decision or --all.", hint="`encore webhooks dead` lists what was given up.")
    outbox, now = home.ledger().outbox, utc_now()
    found = [one for one in outbox.dead(endpoint) if decision_id in (None, one.decision_id)]
    if decision_id is not None and not found:
        raise NotFound(f"Expected a message that was given up, found none about decision {decision_id!r}.")
    outbox.save([_again(one) for one in (replace(one, queued_at=now, due_at=now) for one in found)])
    click.echo(f"{len(found)} to be sent again.")


def _again(one: Delivery) -> Delivery:
    return replace(one, state=State.WAITING, attempts=0, changed_at=one.queued_at)


@webhooks.command()
@click.option("--once", is_flag=True, help="Send what is due now, then stop.")
@click.option("--every", default=1.0, show_default=True, help="Seconds between looks at the ledger.")
@click.pass_obj
def send(home: Home, once: bool, every: float) -> None:
    """Send what is due, and again where it failed, until it is stopped."""
    home.programme()
    halt = threading.Event()
    with home.sending():
        sender = Sender(home, home.ledger(), clock=utc_now, rng=random.Random())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: halt.set())
        while True:
            sender.round()
            if once or halt.wait(every):
                break
        if not once:
            sender.stop()
        sender.finish()


def _endpoint(ledger: Ledger, name: str) -> Endpoint:
    for endpoint in ledger.outbox.endpoints():
        if endpoint.name == name:
            return endpoint
    raise NotFound(f"Expected an endpoint, found none called {name!r}.", hint="`encore webhooks list` shows them.")
