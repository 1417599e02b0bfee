"""The protocols of others, each a thin translation into Encore's own use cases."""
