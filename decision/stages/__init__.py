"""The steps of a decision as pure functions, in the order in which `flow.decide` calls them."""
