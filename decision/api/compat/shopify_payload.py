"""Shopify's payloads, as far as they are read, and the money in them. What is not named here is left aside."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from decision.api.compat.payload import Id, micros_of
from decision.errors import InvalidInput


class ShopMoney(Struct, frozen=True):
    """An amount with its currency."""

    amount: Decimal
    currency_code: str


class MoneySet(Struct, frozen=True):
    """The same amount in the currency of the shop, and in the one that the customer saw."""

    shop_money: ShopMoney | None = None
    presentment_money: ShopMoney | None = None


class Person(Struct, frozen=True):
    """A customer by her number; her name and addresses are not read."""

    id: Id | None = None


class DiscountCode(Struct, frozen=True):
    """A code that was used on an order."""

    code: str = ""


class Note(Struct, frozen=True):
    """An attribute that the shop's checkout put on an order."""

    name: str | None = None
    value: Any = None


class RefundLine(Struct, frozen=True):
    """Goods of one line that came back."""

    quantity: int = 0
    subtotal: Decimal | None = None
    subtotal_set: MoneySet | None = None


class Transaction(Struct, frozen=True):
    """Money that moved, or was to move."""

    amount: Decimal
    kind: str | None = None
    status: str | None = None
    currency: str | None = None
    test: bool = False


class Adjustment(Struct, frozen=True):
    """What was paid back beside goods; a shipping refund is below 0."""

    kind: str | None = None
    amount: Decimal | None = None
    amount_set: MoneySet | None = None


class ShopifyRefund(Struct, frozen=True):
    """A refund. It names its order, and not the customer."""

    id: Id
    created_at: datetime
    order_id: Id | None = None
    refund_line_items: list[RefundLine] | None = None
    transactions: list[Transaction] | None = None
    order_adjustments: list[Adjustment] | None = None


class ShopifyOrder(Struct, frozen=True):
    """An order as it was when the webhook was sent, with its refunds so far."""

    id: Id
    created_at: datetime
    processed_at: datetime | None = None
    updated_at: datetime | None = None
    cancelled_at: datetime | None = None
    financial_status: str | None = None
    test: bool | None = False
    currency: str | None = None
    subtotal_price: Decimal | None = None
    subtotal_price_set: MoneySet | None = None
    total_line_items_price: Decimal | None = None
    total_line_items_price_set: MoneySet | None = None
    customer: Person | None = None
    # Read where the programme knows guests by it, and never kept.
    email: str | None = None
    discount_codes: list[DiscountCode] | None = None
    note_attributes: list[Note] | None = None
    refunds: list[ShopifyRefund] | None = None


class MarketingConsent(Struct, frozen=True):
    """Her word on a channel, and when she gave it."""

    state: str | None = None
    consent_updated_at: datetime | None = None


class ShopifyCustomer(Struct, frozen=True):
    """A customer's consent. The topic for e-mail calls her number `customer_id`, the others `id`."""

    id: Id | None = None
    customer_id: Id | None = None
    email_marketing_consent: MarketingConsent | None = None
    sms_marketing_consent: MarketingConsent | None = None


class PrivacyRequest(Struct, frozen=True):
    """What the law on privacy asks of whoever holds a shop's data."""

    shop_domain: str = ""
    customer: Person | None = None


def amount_in(
    currency: str, both: MoneySet | None, plain: Decimal | None, plain_currency: str | None, *, pointer: str
) -> int:
    """Return an amount in micros of the programme's currency, be it the shop's or the one that the customer saw.

    Raises
    ------
    InvalidInput : the payload has it in other currencies only, or not at all, or it is impossible.
    """
    named = (both.shop_money, both.presentment_money) if both else ()
    for money in named:
        if money is not None and money.currency_code == currency:
            return micros_of(money.amount, pointer=pointer)
    if plain is not None and plain_currency == currency:
        return micros_of(plain, pointer=pointer)
    found = [money.currency_code for money in named if money] or [plain_currency or "none"]
    raise InvalidInput(
        f"Expected an amount in the programme's currency {currency} at {pointer}, found {', '.join(found)}.",
        pointer=pointer,
    )


def goods_paid_back(refund: ShopifyRefund, currency: str, *, pointer: str) -> int:
    """Return the micros of a refund that were for goods; 0 when no money moved, or only for shipping.

    What came back is worth its lines, and never more than what was paid back. A refund without lines is what was
    paid back without the shipping.

    Raises
    ------
    InvalidInput : there is no amount in the programme's currency.
    """
    moved = [t for t in refund.transactions or () if t.kind == "refund" and t.status == "success" and not t.test]
    if not moved:
        return 0
    told = {t.currency for t in moved}
    paid = sum(micros_of(t.amount, pointer=f"{pointer}.transactions") for t in moved) if told == {currency} else None
    plain_currency = moved[0].currency if len(told) == 1 else None
    at = f"{pointer}.refund_line_items"
    if lines := refund.refund_line_items:
        worth = sum(amount_in(currency, line.subtotal_set, line.subtotal, plain_currency, pointer=at) for line in lines)
        return max(worth if paid is None else min(worth, paid), 0)
    if paid is None:
        raise InvalidInput(
            f"Expected transactions in the programme's currency {currency} at {pointer}.transactions, found others.",
            pointer=f"{pointer}.transactions",
        )
    shipping = sum(
        amount_in(currency, one.amount_set, one.amount, plain_currency, pointer=f"{pointer}.order_adjustments")
        for one in refund.order_adjustments or ()
        if one.kind == "shipping_refund"
    )
    return max(paid + shipping, 0)
