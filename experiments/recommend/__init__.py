"""Products that fit: what goes with a purchase, stands in for a return, or brings a customer back."""
