"""The ledger as flat files: enough to recompute every figure without Encore."""
