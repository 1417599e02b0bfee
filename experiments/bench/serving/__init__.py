"""What serving costs: the durable decision beside an endpoint that decides nothing, and servers that only score."""
