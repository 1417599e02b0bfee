"""The use case: a shop platform delivers a webhook. What can't be used goes into the inbox, so that nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from decision.errors import InvalidInput
from decision.event import Event
from decision.flow.observe import observe
from decision.ledger.base import InboxItem, Ledger
from decision.programme.model import Programme
from decision.stages.events import OF_ORDERS

# Platforms repeat a delivery for hours at most. What comes later is a replay, or was held up: a person decides.
STALE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook whose signature was right. Only the body is signed: topic, sender and time are what it says."""

    source: str
    topic: str
    sender: str
    body: bytes
    sent_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a delivery says: events; or why there are none, `ignored`; or a `task` for a person.

    With `order_id`, the events are of the customer of that order, whom the delivery does not name. `as_of` is when
    the body says that it was true.
    """

    events: tuple[Event, ...] = ()
    ignored: str = ""
    task: str = ""
    order_id: str | None = None
    customer_id: str | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A platform: how its deliveries are read, and what of a body is kept in the inbox."""

    name: str
    read: Callable[[Delivery, Programme], Reading]
    kept: Callable[[bytes], str]


class DeliveryReceipt(msgspec.Struct, frozen=True):
    """What became of a delivery: events, or why there were none, or why it is in the inbox."""

    accepted: int = 0
    duplicates: int = 0
    ignored: str = ""
    inbox: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where deliveries of one platform are worked on."""

    source: Source
    programme: Programme
    ledger: Ledger
    now: datetime

    def take(self, delivery: Delivery) -> DeliveryReceipt:
        """Take a delivery; durable before this returns. The same one again changes nothing."""
        try:
            reading = self.source.read(delivery, self.programme)
        except InvalidInput as error:
            return self._keep(delivery, str(error))
        if reading.ignored:
            return DeliveryReceipt(ignored=reading.ignored)
        if reading.task:
            return self._keep(delivery, reading.task, customer_id=reading.customer_id)
        receipt = DeliveryReceipt(duplicates=len(reading.events))
        if not self.ledger.knows([event.message_id or "" for event in reading.events]):
            late = _late(delivery, reading, now=self.now)
            receipt = self._keep(delivery, late) if late else self._use(delivery, reading)
        self._release(reading)
        return receipt

    def retry(self, item: InboxItem) -> str:
        """Try an item of the inbox again, however old; return why it stays there, nothing when it was used."""
        try:
            reading = self.source.read(
                Delivery(item.source, item.topic, item.sender, item.body.encode()), self.programme
            )
        except InvalidInput as error:
            return str(error)
        why = reading.task or ("" if reading.ignored else self._why_not(reading) or self._observed(reading).inbox)
        if not why:
            self.ledger.take_from_inbox(item.item_id)
        return why

    def _use(self, delivery: Delivery, reading: Reading) -> DeliveryReceipt:
        if why := self._why_not(reading):
            # Should the order come between these two, it looks for what waits before this is there: `take` looks again.
            return self._keep(delivery, why, order_id=reading.order_id)
        receipt = self._observed(reading)
        if receipt.inbox:
            self._keep(delivery, receipt.inbox)
        return receipt

    def _why_not(self, reading: Reading) -> str:
        """Return why the customer of a reading is not known yet; nothing when it names her."""
        if reading.order_id is None:
            return ""
        owners = self.ledger.owners(reading.order_id)
        if len(owners) == 1:
            return ""
        if owners:
            return f"Expected one customer with the order {reading.order_id}, found {len(owners)}."
        return f"Waits for the order {reading.order_id}: a refund names its order, and not the customer."

    def _observed(self, reading: Reading) -> DeliveryReceipt:
        events = reading.events
        if reading.order_id is not None:
            (owner,) = self.ledger.owners(reading.order_id)
            events = tuple(msgspec.structs.replace(event, customer_id=owner) for event in events)
        receipt = observe(events, programme=self.programme, ledger=self.ledger, now=self.now)
        why = " ".join(str(error) for _, error in receipt.rejected)
        return DeliveryReceipt(receipt.accepted, receipt.duplicates, inbox=why)

    def _keep(
        self, delivery: Delivery, why: str, *, order_id: str | None = None, customer_id: str | None = None
    ) -> DeliveryReceipt:
        item = InboxItem(
            at=self.now,
            source=delivery.source,
            topic=delivery.topic,
            sender=delivery.sender,
            body=self.source.kept(delivery.body),
            reason=why,
            order_id=order_id,
            customer_id=customer_id,
        )
        self.ledger.put_in_inbox(item)
        return DeliveryReceipt(inbox=why)

    def _release(self, reading: Reading) -> None:
        """Use what waits for the orders of a reading, if it can be used by now."""
        told = {str(event.properties.get("order_id")) for event in reading.events if event.event in OF_ORDERS}
        for order_id in sorted(told):
            for item in self.ledger.inbox(order_id=order_id):
                if item.source == self.source.name:
                    self.retry(item)


def _late(delivery: Delivery, reading: Reading, *, now: datetime) -> str:
    """Return that a delivery is too old to be believed unseen, nothing when it is fresh."""
    times = [time for time in (delivery.sent_at, reading.as_of) if time is not None]
    if not times or now - min(times) <= STALE:
        return ""
    return f"Expected a delivery of the last {STALE.days} days, found one of {min(times):%Y-%m-%d}: is it a replay?"
