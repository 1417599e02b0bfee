"""Past trials and past orders come in through the same doors as live ones; what can't be used is named and counted."""
