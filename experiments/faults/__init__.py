"""Faults injected for real into a serving shop under load, and what became of what it had acknowledged."""
