"""What the shop sees of its customers: predictions of everybody, segments, the marketer's report."""
