"""The use case: a shop platform delivers a webhook. What can't be used goes into the inbox, so that nothing is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from decision.errors import InboxFull, InvalidInput
from decision.event import Event
from decision.flow.observe import Receipt, observe
from decision.ledger.base import InboxItem, Ledger
from decision.programme.model import Programme
from decision.stages.events import FAST_CLOCK, OF_ORDERS, ORDER_CANCELLED, ORDER_COMPLETED

# Platforms repeat a delivery for hours at most. What comes later is a replay, or was held up: a person decides.
STALE = timedelta(days=3)
# The topic of what is told about many deliveries at once.
NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A webhook whose signature was right. Only the body is signed: topic, sender and time are what it says.

    `customer_id` is whose it is where what was kept of the body says so no more.
    """

    source: str
    topic: str
    sender: str
    body: bytes
    sent_at: datetime | None = None
    customer_id: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a delivery says: events; or why there are none, `ignored`; or a `task` for a person.

    With `order_id`, the events are of the customer of that order, whom the delivery does not name. `as_of` is when
    the body says that it was true. `deleted` is an order that its shop has removed. `notice` is what a person has to be
    told once, however many such deliveries are ignored.
    """

    events: tuple[Event, ...] = ()
    ignored: str = ""
    task: str = ""
    order_id: str | None = None
    customer_id: str | None = None
    as_of: datetime | None = None
    deleted: str | None = None
    notice: str = ""

    @property
    def whose(self) -> str | None:
        """Return the customer it is of, None where it does not say."""
        named = self.customer_id or next((event.customer_id for event in self.events), None)
        return named if self.order_id is None else None


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
    # Who counts what became of events.
    count: Callable[[Receipt], None] = lambda _: None

    def take(self, delivery: Delivery) -> DeliveryReceipt:
        """Take a delivery; durable before this returns. The same one again changes nothing."""
        try:
            reading = self.source.read(delivery, self.programme)
        except InvalidInput as error:
            self.count(Receipt(0, 0, (), refused={"unknown": 1}))
            return self._keep(delivery, str(error))
        if reading.ignored:
            self._notice(reading)
            return DeliveryReceipt(ignored=reading.ignored)
        if reading.task:
            return self._keep(delivery, reading.task, customer_id=reading.whose)
        if reading.deleted is not None:
            receipt = self._deleted(reading.deleted)
            return self._keep(delivery, receipt.inbox) if receipt.inbox else receipt
        receipt = DeliveryReceipt(duplicates=len(reading.events))
        if self.ledger.knows([event.message_id or "" for event in reading.events]):
            self.count(Receipt(0, len(reading.events), (), taken=Counter(event.event for event in reading.events)))
        elif late := _late(delivery, reading, now=self.now):
            receipt = self._keep(delivery, late, customer_id=reading.whose)
        else:
            receipt = self._use(delivery, reading)
        self._release(reading)
        return receipt

    def retry(self, item: InboxItem) -> str:
        """Try an item of the inbox again, however old; return why it stays there, nothing when it was used."""
        if item.topic == NOTICE:
            return item.reason
        kept = Delivery(item.source, item.topic, item.sender, item.body.encode(), customer_id=item.customer_id)
        try:
            reading = self.source.read(kept, self.programme)
        except InvalidInput as error:
            return str(error)
        why = self._tried(reading)
        if not why:
            self.ledger.take_from_inbox(item.item_id)
        return why

    def _tried(self, reading: Reading) -> str:
        """Use a reading if that is possible by now; return why it is not."""
        if reading.ignored or reading.task:
            return reading.task or reading.notice
        if reading.deleted is not None:
            return self._deleted(reading.deleted).inbox
        return self._why_not(reading) or self._observed(reading).inbox

    def _deleted(self, order_id: str) -> DeliveryReceipt:
        """Cancel an order that its shop has deleted, where it is known and young enough to be undone."""
        owners = self.ledger.owners(order_id)
        if len(owners) > 1:
            return DeliveryReceipt(inbox=_several(order_id, owners))
        window = timedelta(days=self.programme.refund_window_days)
        if not any(self._bought_since(owner, order_id, self.now - window) for owner in owners):
            return DeliveryReceipt(ignored="A deleted order that was not paid for, or long ago: shops tidy up.")
        message_id = f"{self.source.name}:order:{order_id}:deleted"
        event = Event(ORDER_CANCELLED, owners[0], self.now, {"order_id": order_id}, message_id)
        return self._observed(Reading((event,)))

    def _bought_since(self, customer_id: str, order_id: str, start: datetime) -> bool:
        told = self.ledger.outcomes_of(customer_id, start=start, end=self.now + FAST_CLOCK)
        return any(one.name == ORDER_COMPLETED and one.properties["order_id"] == order_id for one in told)

    def _notice(self, reading: Reading) -> None:
        """Tell a person once why such deliveries are left aside; nothing of them is kept."""
        if reading.notice:
            # A full inbox has somebody looking at it already.
            with suppress(InboxFull):
                self.ledger.put_in_inbox(InboxItem(self.now, self.source.name, NOTICE, "", "", reading.notice))

    def _use(self, delivery: Delivery, reading: Reading) -> DeliveryReceipt:
        if why := self._why_not(reading):
            # Should the order come between these two, it looks for what waits before this is there: `take` looks again.
            return self._keep(delivery, why, order_id=reading.order_id, customer_id=reading.whose)
        receipt = self._observed(reading)
        if receipt.inbox:
            self._keep(delivery, receipt.inbox, customer_id=reading.whose)
        return receipt

    def _why_not(self, reading: Reading) -> str:
        """Return why the customer of a reading is not known yet; nothing when it names her."""
        if reading.order_id is None:
            return ""
        owners = self.ledger.owners(reading.order_id)
        if len(owners) == 1:
            return ""
        if owners:
            return _several(reading.order_id, owners)
        return f"Waits for the order {reading.order_id}: a refund names its order, and not the customer."

    def _observed(self, reading: Reading) -> DeliveryReceipt:
        events = reading.events
        if reading.order_id is not None:
            (owner,) = self.ledger.owners(reading.order_id)
            events = tuple(msgspec.structs.replace(event, customer_id=owner) for event in events)
        receipt = observe(events, programme=self.programme, ledger=self.ledger, now=self.now)
        self.count(receipt)
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


def _several(order_id: str, owners: Sequence[str]) -> str:
    return f"Expected one customer with the order {order_id}, found {len(owners)}."


def _late(delivery: Delivery, reading: Reading, *, now: datetime) -> str:
    """Return that a delivery is too old to be believed unseen, nothing when it is fresh."""
    times = [time for time in (delivery.sent_at, reading.as_of) if time is not None]
    if not times or now - min(times) <= STALE:
        return ""
    return f"Expected a delivery of the last {STALE.days} days, found one of {min(times):%Y-%m-%d}: is it a replay?"
