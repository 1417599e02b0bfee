"""What customers will do, from their order lines as of a day.

For other rooms: `fit(history, cut, settings)` gives `Models`; `score(models, history)` gives `Predictions`, a pyarrow
table (`predictions.SCHEMA`, described in `meanings.COLUMNS`) with `as_of`, `version` and `verdicts` (which models
had too little data, and the rule that stands instead); `Predictions.of(customer_id)` is one row as plain values.
`store.write` and `store.read` keep models as arrays and JSON, without pickle. `history` is `experiments.history`'s.

    journal -> state (as of a day, and how it ages)
      -> habit, hazards -> repurchase (P within d days) -> churn, next purchase, value
      -> rfm, grid, second (Kaplan-Meier), category, channel, engagement
"""
