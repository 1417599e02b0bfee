"""What an operator watches: metrics that all processes share, and one line in the log for each request."""
