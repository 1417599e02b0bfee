"""The ledger: append-only decisions, outcomes and rewards, with budgets reserved in the decision's transaction."""
