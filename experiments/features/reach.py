"""What reaches her: channels of her orders, contacts and what followed them, visits."""

from __future__ import annotations

import re
from typing import Any

from experiments.features.feature import DAY, Feature, Over, count_of, days, share

# Those of the design's vocabulary; a programme with others names its own.
CHANNELS = ("on_page", "email", "sms", "web_push")
NO_CONTACT = "she was not contacted"
NO_CHANNEL = "no channel of her orders is known"


def _rate(happened: str) -> Any:
    return lambda contacts: contacts[happened].sum() / contacts.count()


REACH = (
    Feature(
        "main_channel",
        "The channel that most of her orders came through; the first by name among equals.",
        "name",
        NO_CHANNEL,
        Over.CHANNELS,
        lambda channels: channels.channel.min(where=channels.orders == channels.most),
        kind="category",
    ),
    Feature(
        "main_channel_share",
        "Share of her main channel among her orders whose channel is known.",
        "share",
        NO_CHANNEL,
        Over.CHANNELS,
        lambda channels: channels.orders.max() / channels.orders.sum(),
    ),
    count_of("contacts", "Contacts: offers made to her.", Over.CONTACTS, lambda contacts: contacts.count(), "contacts"),
    count_of(
        "contacts_30d",
        "Contacts in the last 30 days.",
        Over.CONTACTS,
        lambda contacts: (contacts.age <= 30 * DAY).sum(),
        "contacts",
    ),
    Feature(
        "contact_recency_days",
        "Time since her last contact.",
        "days",
        NO_CONTACT,
        Over.CONTACTS,
        lambda contacts: days(contacts.age.min()),
    ),
    Feature(
        "response_rate",
        "Share of her contacts that an order followed inside the attribution window.",
        "share",
        NO_CONTACT,
        Over.CONTACTS,
        _rate("converted"),
    ),
    Feature("open_rate", "Share of her contacts she viewed.", "share", NO_CONTACT, Over.CONTACTS, _rate("opened")),
    Feature("click_rate", "Share of her contacts she clicked.", "share", NO_CONTACT, Over.CONTACTS, _rate("clicked")),
    count_of("visits", "Visits and page views beside orders.", Over.VISITS, lambda visits: visits.count(), "visits"),
    count_of(
        "visit_days_30d",
        "Days of the last 30 with any visit.",
        Over.VISITS,
        lambda visits: (visits.age // DAY).nunique(where=visits.age <= 30 * DAY),
        "days",
    ),
    Feature(
        "visit_recency_days",
        "Time since her last visit.",
        "days",
        "no visit is known",
        Over.VISITS,
        lambda visits: days(visits.age.min()),
    ),
)


def response_through(channel: str) -> Feature:
    """Return the response rate of one channel."""
    name = re.sub(r"\W", "_", channel)
    return Feature(
        f"response_rate_{name}",
        f"Share of her contacts through {channel} that an order followed inside the attribution window.",
        "share",
        f"she was not contacted through {channel}",
        Over.CONTACTS,
        lambda contacts: share(
            (contacts.converted & (contacts.channel == channel)).sum(), (contacts.channel == channel).sum()
        ),
    )
