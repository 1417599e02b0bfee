"""What serving costs: the full durable decision beside an endpoint that decides nothing, in one run."""
