"""The policy bundle: what experiments write and the service loads. Loading one can't run code."""
