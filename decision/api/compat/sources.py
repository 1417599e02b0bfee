"""Everybody whose deliveries may wait in the inbox, by name."""

from __future__ import annotations

from collections.abc import Mapping

from decision.api.compat.segment_reading import SEGMENT
from decision.api.compat.shopify_reading import SHOPIFY
from decision.api.compat.woocommerce_reading import WOOCOMMERCE
from decision.flow.receive import Source

SOURCES: Mapping[str, Source] = {source.name: source for source in (SHOPIFY, WOOCOMMERCE, SEGMENT)}
