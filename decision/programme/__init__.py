"""What the marketer decides: offers, channels, stores, goals, guardrails and measurement groups."""
