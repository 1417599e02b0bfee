"""`make run`: a simulated shop, its first policy, and everything running."""
