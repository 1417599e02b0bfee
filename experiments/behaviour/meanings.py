"""What each prediction says. Nothing is loaded to know it: the programme is checked against these names."""

from __future__ import annotations

from collections.abc import Mapping

# name: (Arrow's name of its type, unit, what it says and when it is null)
COLUMNS: Mapping[str, tuple[str, str, str]] = {
    "customer_id": ("string", "", "the customer"),
    "purchases": ("int64", "days", "days on which she bought"),
    "last_purchase": ("date32", "date", "her last purchase"),
    "usual_gap_days": (
        "double",
        "days",
        "between her purchases, shrunk to the shop's where she has few; null if nobody has two",
    ),
    "repurchase_30": ("double", "probability", "that she buys within 30 days; null without enough data"),
    "repurchase_60": ("double", "probability", "that she buys within 60 days; null without enough data"),
    "repurchase_90": ("double", "probability", "that she buys within 90 days; null without enough data"),
    "repurchase_90_low": ("double", "probability", "lower end of its 95 % interval"),
    "repurchase_90_high": ("double", "probability", "upper end of its 95 % interval"),
    "churn": ("double", "probability", "that she does not buy within `churn_days`; null without enough data"),
    "churn_days": ("double", "days", "twice her usual gap, at least 30: her own rhythm decides what long is"),
    "next_purchase": (
        "date32",
        "date",
        "when her next purchase is expected, if it comes within a season or her own time",
    ),
    "next_purchase_low": ("date32", "date", "before it with 10 % chance, if it comes"),
    "next_purchase_high": ("date32", "date", "after it with 10 % chance, if it comes"),
    "next_category": ("string", "", "what it is likeliest to be of; null where no category is known"),
    "clv": ("double", "currency", "margin after returns within the horizon; by rule without enough data"),
    "clv_low": ("double", "currency", "a tenth of customers like her bring less; null without enough data"),
    "clv_high": ("double", "currency", "a tenth of customers like her bring more; null without enough data"),
    "first_time": ("bool", "", "she bought once: `repurchase_90` says whether she is likely to buy again"),
    "late": ("bool", "", "she bought once, and those who return have done so by now; null without enough data"),
    "best_channel": ("string", "", "what reaches her best; null where none is known"),
    "best_channel_rate": ("double", "probability", "that a contact there is followed by a purchase; null by rule"),
    "engagement": ("double", "points", "what she did, by the shop's own weights, forgotten with time"),
    "recency": ("int64", "1 to 5", "5: silent shortest"),
    "frequency": ("int64", "1 to 5", "5: bought most often"),
    "money": ("int64", "1 to 5", "5: spent most"),
    "rfm": ("string", "", "the segment that recency and frequency make"),
    "why": ("string", "", "what moves her chance of a purchase most, a line each; null without enough data"),
    "grid": (
        "string",
        "",
        "purchase and churn: `likely` or `unlikely`, `staying`, `slipping` or `leaving`",
    ),
}
